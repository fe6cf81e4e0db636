"""dlt's `write_disposition` as a sync mode.

In: what a declaration says. Out: the name of the mode, or a sentence for those that the project does not keep its promise with.
"""

from typing import Any

from include.errors import ConfigurationError

# dlt's own default.
DEFAULT_DISPOSITION = "append"
_STRATEGIES = {None: "merge", "delete-insert": "merge", "scd2": "scd2"}


def sync_mode_of(resource: str, disposition: Any) -> str:
    """`merge`, `replace`, `append` or `scd2`. Raises ConfigurationError (permanent) for anything else."""
    name, strategy = disposition or DEFAULT_DISPOSITION, None
    if isinstance(disposition, dict):
        name, strategy = disposition.get("disposition"), disposition.get("strategy")
    if name == "merge" and strategy in _STRATEGIES:
        return _STRATEGIES[strategy]
    if name in ("replace", "append") and strategy in (None, "insert-from-staging"):
        return str(name)
    raise ConfigurationError(
        f"The resource `{resource}` has the write disposition `{strategy or name}`, which is none of the sync modes here: `merge`, "
        "`replace`, `append` and `scd2`. Choose one of them."
    )
