"""What an API of the catalogue is: its name, the names of its resources, and its configuration in dlt's words.

In: nothing. Out: `Api`. The graph of a DAG needs the names alone; the configuration is asked for in the task only, where
`dlt.secrets[...]` and `dlt.config[...]` in it find what the API's connection says.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    # dlt's REST source takes longer to import than a whole parse may take.
    from dlt.sources.rest_api import RESTAPIConfig

# A resource, or a parent and the resources that are read for each of its records.
ResourceNames = str | tuple[str, ...]


@dataclass(frozen=True)
class Api:
    """One API: one file of `include/apis/`, one DAG, one connection (`<name>_api`), one schema (`<name>_raw`).

    `resources`: one task for each. A parent and its children are one: `("publishers", "publisher_datasets")`, the parent
    first. `config` returns a dlt `RESTAPIConfig` without secrets; address and credentials come from the connection, unless
    it says them itself. `other_hosts`: hosts beside that of the connection to which links of the API may lead; the
    credentials are not sent there.
    """

    name: str
    resources: tuple[ResourceNames, ...]
    config: "Callable[[], RESTAPIConfig]"
    other_hosts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.name.isidentifier() or self.name != self.name.lower():
            raise ValueError(
                f"The name of an API has to be lower case letters, digits and underscores; it is {self.name!r}."
            )
        names = list(self.resource_names)
        if not names or len(set(names)) < len(names):
            raise ValueError(f"The API `{self.name}` has to name its resources, each once; it names {names}.")

    @property
    def families(self) -> Iterator[tuple[str, ...]]:
        """The resources that are read together, by one task each."""
        return ((names,) if isinstance(names, str) else names for names in self.resources)

    @property
    def resource_names(self) -> Iterator[str]:
        """All resources."""
        return (name for family in self.families for name in family)

    @property
    def conn_id(self) -> str:
        """Airflow's connection to the API."""
        return f"{self.name}_api"

    @property
    def destination_conn_ids(self) -> tuple[str, ...]:
        """Airflow's connections to the destination: the first that there is counts."""
        return tuple(dict.fromkeys((f"{self.name}_destination", DESTINATION_CONN_ID)))

    @property
    def alert_conn_ids(self) -> tuple[str, ...]:
        """Airflow's connections for alerts: the first that there is counts."""
        return tuple(dict.fromkeys((f"{self.name}_alerts", ALERTS_CONN_ID)))

    @property
    def destination_schema(self) -> str:
        """dlt's `dataset_name`."""
        return f"{self.name}_raw"


# The destination of all APIs that have none of their own.
DESTINATION_CONN_ID = "datasets_destination"
# Where alerts of all APIs go that have no connection of their own for them.
ALERTS_CONN_ID = "datasets_alerts"
# The history of loads, beside the tables of an API.
REPORTS_TABLE = "_load_reports"
