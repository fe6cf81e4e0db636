"""The one collection of the site, as each library serves it."""
