"""All kinds of destinations: each module of `include/load/destinations` is one. A new destination is one new file.

In: an Airflow connection. Out: its kind, by the connection's type.
"""

import functools
import importlib
import pkgutil
from collections.abc import Mapping

from include.configure.connections import AirflowConnection, ConnectionFields
from include.load import destinations
from include.load.kind import DestinationKind


@functools.cache
def kinds() -> Mapping[str, DestinationKind]:
    """The kinds, by the type of connection. No driver is imported."""
    modules = [
        importlib.import_module(f"{destinations.__name__}.{found.name}")
        for found in pkgutil.iter_modules(destinations.__path__)
    ]
    return {module.Kind.conn_type: module.Kind() for module in modules}


def kind_of(connection: AirflowConnection) -> DestinationKind:
    """The kind of the connection. Raises ConfigurationError (permanent) that lists the types."""
    given = ConnectionFields(connection)
    if given.conn_type not in kinds():
        raise given.error("type", f"must be one of {', '.join(f'`{name}`' for name in kinds())}")
    return kinds()[given.conn_type]
