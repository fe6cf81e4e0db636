"""Names and values in SQL. The only place where one of our statements quotes something itself.

In: a name or a value, whoever it comes from. Out: a piece of SQL of a dialect, by sqlglot. Where a driver binds values,
they are bound instead; names of dlt's tables and columns come quoted from dlt's client of the destination.
"""

from sqlglot import exp

# What the standard says and every dialect of ours but MySQL's reads: "a name", 'a text'.
STANDARD = ""


def name(text: str, dialect: str = STANDARD) -> str:
    """A name as it is, quoted."""
    return exp.to_identifier(text, quoted=True).sql(dialect)


def literal(value: str | int | float, dialect: str = STANDARD) -> str:
    """A value as a literal."""
    return exp.convert(value).sql(dialect)
