"""What somebody removed by hand is made again by the next run, which knows nothing but what the destination does."""

import pytest
from dlt.pipeline.exceptions import PipelineStepFailed

from include.apis.api import REPORTS_TABLE
from include.load.known_table import is_gone
from include.report.history import read_reports, write_report
from tests.faults.test_proven_before_the_commit import Place, place
from tests.support.cases import proves
from tests.unit.test_report import REPORT

__all__ = ["place"]

pytestmark = pytest.mark.filterwarnings("ignore:Coercing Subquery object:sqlalchemy.exc.SAWarning")


@proves(
    "a table, a child table, a column or a table of dlt's is dropped by hand",
    "the next run makes it again and is green",
)
@pytest.mark.parametrize(
    "removed",
    [
        "DROP TABLE {0}",
        "DROP TABLE {1}",
        "ALTER TABLE {0} DROP COLUMN version",
        "DROP TABLE {2}",
        "DROP TABLE {3}",
        "DROP TABLE {4}",
    ],
    ids=["table", "child table", "column", "_dlt_version", "_dlt_loads", "_dlt_pipeline_state"],
)
def test_what_was_removed_is_made_again(place: Place, removed: str) -> None:
    place.load("merge", range(10))
    with place.pipeline.sql_client() as client:
        names = ("datasets", "datasets__tags", "_dlt_version", "_dlt_loads", "_dlt_pipeline_state")
        client.execute_sql(removed.format(*map(client.make_qualified_table_name, names)))
    for version in (2, 3):
        place.begin()
        assert is_gone(place.pipeline, "datasets") == (version == 2 and removed == "DROP TABLE {0}")
        assert place.load("merge", range(5, 15), version).loaded_rows == 10
    assert place.query("SELECT count(*) FROM {0} WHERE version = 3") == [(10,)]
    assert place.query("SELECT count(*) FROM {1} WHERE value IN ('a 3', 'b 3')") == [(20,)]


@proves("`_load_reports` is dropped by hand", "it covers nothing, and the next run makes it again")
def test_a_history_that_was_removed_covers_nothing_and_begins_anew(place: Place) -> None:
    place.load("merge", range(10))
    write_report(REPORT, place.pipeline)
    assert len(read_reports(place.pipeline, "datasets")) == 1
    with place.pipeline.sql_client() as client:
        client.execute_sql(f"DROP TABLE {client.make_qualified_table_name(REPORTS_TABLE)}")
    for written in (0, 1):
        place.begin()
        assert len(read_reports(place.pipeline, "datasets")) == written
        write_report(REPORT, place.pipeline)


@proves("the first load ever is killed", "the next run is green")
def test_a_first_load_that_was_killed_stands_in_nobodys_way(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        for job in ("dlt.destinations.job_client_impl.SqlLoadJob", "include.load.destinations.mysql.client.OneStepJob"):
            patch.setattr(f"{job}.run", _killed)
        with pytest.raises(PipelineStepFailed):
            place.load("merge", range(10))
    # Its records have no list, so that it does not find the child table by itself.
    place.begin()
    assert place.load("merge", range(10), tags=False).loaded_rows == 10


def _killed(*_: object) -> None:
    raise RuntimeError("killed")
