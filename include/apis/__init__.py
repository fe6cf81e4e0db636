"""The catalogue: what is read, one declaration for each API, data and no logic. Open to all rooms.

Out: `Resource`s. Each is one collection, one dlt resource, one table and one task.
"""
