"""The kinds of destinations, one module each with all in which they differ."""
