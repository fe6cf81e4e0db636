"""What a load did, told to others.

In: the facts of one load. Out: a row of the history, an event of the asset. A good load does not fail for its report.
"""
