"""What each sync mode is in a Delta table, without one: tests/e2e/test_delta_tables.py loads."""

import json

import pytest
from airflow.sdk import Connection

from include.decide.sync_mode import SYNC_MODES
from include.errors import ConfigurationError
from include.load.delta import check_format, table_hints
from include.load.destination import open_destination
from include.load.files import DELTA_MODES


def test_a_run_that_appends_may_only_delete_its_own_rows() -> None:
    hints = table_hints("delta", SYNC_MODES["append"], ["id"], "a run's {id}")
    # As dlt fills it in.
    assert hints["write_disposition"]["destination_scope"].format(table="t") == "t._run_id = 'a run''s {id}'"
    assert hints["primary_key"] == ["id", "_run_id"]


@pytest.mark.parametrize("mode", DELTA_MODES)
def test_every_mode_makes_a_delta_table(mode: str) -> None:
    assert table_hints("delta", SYNC_MODES[mode], ["id"], "run")["table_format"] == "delta"


def test_plain_files_need_no_hint() -> None:
    assert table_hints(None, SYNC_MODES["replace"], ["id"], "run") == {}


def test_a_table_without_columns_has_no_format_yet() -> None:
    folder = {"conn_type": "fs", "extra": json.dumps({"path": "/data", "table_format": "delta"})}
    destination = open_destination(Connection(conn_id="datasets_destination", **folder), "run")
    destination.check_table(SYNC_MODES["merge"], None)
    check_format({"name": "datasets", "columns": {}}, "delta", SYNC_MODES["merge"])
    with pytest.raises(ConfigurationError, match="was made of plain files"):
        check_format({"name": "datasets", "columns": {"id": {"name": "id"}}}, "delta", SYNC_MODES["merge"])
