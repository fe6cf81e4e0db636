"""The catalogue: what is read, one declaration for each API, data and no logic. Open to all rooms."""
