"""An API as a dlt source whose read is proven.

In: the options, a window, a mode. Out: a dlt source that runs wherever dlt runs, and what its read promised and met.
"""
