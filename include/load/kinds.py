"""All kinds of destinations: each module of `include/load/destinations` is one. A new destination is one new file.

In: an Airflow connection. Out: its kind, by the connection's type.
"""

import functools
import importlib
import pkgutil
from collections.abc import Mapping

from include.configure.connections import AirflowConnection, ConnectionFields
from include.load import destinations
from include.load.kind import GENERIC, NAMED_BY, DestinationKind


@functools.cache
def kinds() -> Mapping[str, DestinationKind]:
    """The kinds, by the type of connection. No driver is imported."""
    modules = [
        importlib.import_module(f"{destinations.__name__}.{found.name}")
        for found in pkgutil.iter_modules(destinations.__path__)
    ]
    return {module.Kind.conn_type: module.Kind() for module in modules}


def kind_of(connection: AirflowConnection) -> DestinationKind:
    """The kind of the connection. Raises ConfigurationError (permanent) that lists the types.

    Airflow's form has only the types of installed providers: a `generic` connection names its type as `destination` in the extra.
    """
    given = ConnectionFields(connection)
    is_generic = given.conn_type == GENERIC
    named = given.get(f"extra.{NAMED_BY}") if is_generic else given.conn_type
    if named not in kinds():
        raise given.error(
            f"extra.{NAMED_BY}" if is_generic else "type",
            f"must be one of {', '.join(f'`{name}`' for name in kinds())}",
        )
    return kinds()[str(named)]
