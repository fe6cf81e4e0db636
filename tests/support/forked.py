"""Loads in processes of their own, forked from one that has imported everything: they may be killed."""

import multiprocessing

processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload(
    [
        "tests.support.held_load",
        "tests.support.killed_load",
        "tests.support.remembered",
        "dlt",
        "duckdb",
        "psycopg2",
        "sqlalchemy",
        "include.load.destination",
    ]
)
