"""One step into a destination, beside other runs.

In: the connection's values and the name of the run. Out: a dlt destination that stages in a place of this run alone.
"""
