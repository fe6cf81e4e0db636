"""One step into a destination, beside other runs."""
