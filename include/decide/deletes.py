"""What becomes of rows whose records are no longer in the API.

In: the options of a deployment, the run, its window, what earlier loads say. Out: a `DeleteRule` for the merge; the error where too much
of a table would go.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from include.configure.choices import Deletes
from include.configure.options import SourceOptions
from include.decide.run import AirflowRun
from include.decide.window import LoadWindow
from include.errors import PermanentError

if TYPE_CHECKING:
    from include.decide.plan import CompletedLoad


@dataclass(frozen=True)
class DeleteRule:
    """`deletes` is `ignore` where this run cannot tell what has vanished. `max_share`: of the table's rows, at most, from 0 to 1.

    `any_share`: somebody has allowed more, for this run. `other_loads`: the ids of loads from other sources, whose rows this one says nothing of.
    """

    deletes: Deletes = "ignore"
    max_share: float = 0.0
    any_share: bool = False
    other_loads: tuple[str, ...] = ()

    @property
    def finds_vanished(self) -> bool:
        """Whether anything is to be done."""
        return self.deletes != "ignore"


NOTHING_VANISHES = DeleteRule()


def delete_rule(
    options: SourceOptions, run: AirflowRun, window: LoadWindow | None, history: "Iterable[CompletedLoad]", source: str
) -> DeleteRule:
    """The rule of this run. A window says nothing of what lies outside it, and a record that changes leaves it: only a snapshot tells.

    Other modes than `merge` need none: `replace` and `scd2` follow the snapshot in any case, `append` takes nothing out.
    """
    if window is not None or options.deletes == "ignore" or options.sync_mode != "merge":
        return NOTHING_VANISHES
    others = tuple(load.load_id for load in history if load.source not in (None, source))
    return DeleteRule(options.deletes, options.max_delete_share, run.allow_deletes, others)


def too_many_deletes(table: str, gone_rows: int, rows: int, rule: DeleteRule) -> PermanentError:
    """Why nothing was loaded."""
    would = "would be removed" if rule.deletes == "remove" else "would be marked as deleted"
    return PermanentError(
        f"{gone_rows} of {rows} rows of the table `{table}` {would}, as the API no longer has their records: more than the option "
        f"`max_delete_share` allows at once ({rule.max_share:g}). Nothing was changed. If they are really gone, run it once with the "
        "param `allow_deletes`; if not, look at what the API gives, and at `params`, `path` and the key, which may have been narrowed."
    )
