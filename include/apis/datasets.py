"""The catalogue: one frozen entry per API resource. One resource is one dlt resource, one task and one table.

In: nothing. Out: `RESOURCES`. To load another collection, add an entry; its options can still be set per
deployment (`SOURCES__<NAME>__<OPTION>`, `[sources.<name>]` in `dags/.dlt/config.toml`, or the connection).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Resource:
    """One API collection.

    `name` is the name of the table, of the task and of the section of the options. `options` are this
    resource's values where they differ from the defaults of `options.SourceOptions`.
    """

    name: str
    options: Mapping[str, object] = field(default_factory=dict)


DATASETS = Resource("datasets", {"path": "/v1/datasets", "data_selector": "data", "primary_key": "id"})

RESOURCES: tuple[Resource, ...] = (DATASETS,)
