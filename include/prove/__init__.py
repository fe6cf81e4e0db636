"""Promised = read = loaded, or the run fails.

In: what the read met, and the table. Out: a count, or an error that fails the run.
"""
