"""Which resources of a family a run loads, as its form asks.

In: the API, a family, the run. Out: the names; or a skip, with a sentence.
"""

from collections.abc import Sequence

from airflow.sdk.exceptions import AirflowSkipException

from include.apis.api import Api
from include.decide.run import AirflowRun
from include.errors import ConfigurationError


def selected(api: Api, family: Sequence[str], run: AirflowRun) -> tuple[str, ...]:
    """The resources of `family` that the run is to load, in their order; a run that names none loads all.

    Raises ConfigurationError (permanent) for a name that the API has not, AirflowSkipException where none of the family is named.
    """
    if not run.resources:
        return tuple(family)
    known = list(api.resource_names)
    if unknown := [name for name in run.resources if name not in known]:
        raise ConfigurationError(
            f"The run asks for the resource `{unknown[0]}`, which the API `{api.name}` has not. It has "
            f"{', '.join(f'`{name}`' for name in known)}."
        )
    wanted = tuple(name for name in family if name in run.resources)
    if not wanted:
        raise AirflowSkipException(f"The run asks for {', '.join(f'`{name}`' for name in run.resources)} only.")
    return wanted
