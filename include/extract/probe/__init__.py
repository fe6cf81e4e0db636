"""What an API is like, found out by asking it: at most 20 requests, GET only. Behind `make check`.

In: where the API is and its key. Out: sentences, and the options to set. Nothing of a record's values leaves this package.
"""
