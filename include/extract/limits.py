"""How much an API may send before it is taken for broken or hostile: every bound of the HTTP client, in one place.

In: nothing. Out: numbers, far above what a collection needs, that keep one answer from taking a worker's memory or time.
"""

BODY_BYTES = 256 * 1024 * 1024
"""Of one answer, as it comes over the wire and unpacked alike. A smaller `page_size` stays below it."""

NESTING_LEVELS = 100
"""Lists and objects inside each other. A record of a public API has ten at the most."""

NUMBER_CHARACTERS = 10_000
"""Of one number. The largest that a column holds has 76 digits."""

NAME_CHARACTERS = 1_000
"""Of one field's name. Databases take 63 to 300 bytes, and dlt shortens what is longer."""

DISTINCT_NAMES = 10_000
"""Of the fields in one answer, in all its records, at any depth. PostgreSQL has 1,600 columns in a table."""

RECORD_BYTES = 64 * 1024 * 1024
"""Of one record."""

ERROR_BODY_BYTES = 64 * 1024
"""What is looked at of an answer that reports an error."""

SAID_CHARACTERS = 300
"""What is repeated of an error's own text."""

TIMEOUTS_OF_A_REQUEST = 5
"""A request may take so many times as long as it may be silent (`request_timeout`): 5 minutes by default."""
