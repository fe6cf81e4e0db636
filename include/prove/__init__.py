"""Promised = read = loaded, or the run fails."""
