"""dlt's SQLAlchemy destination for MySQL and MariaDB: a merge is one step, and keys compare exactly.

In: what dlt's own `sqlalchemy` destination takes. Out: the same destination, except that a merge makes its helper tables
before it changes anything, and that the columns of text keys have a binary collation without padding. CREATE and DROP commit
there: a process that died behind them left records deleted. And the server's own collation takes `Abc`, `abc`, `äbc` and
`abc ` for one key: the merge of one deleted the others.
"""

from collections.abc import Sequence
from itertools import takewhile
from typing import Any, cast

import sqlalchemy as sa
from dlt.common.destination import DestinationCapabilitiesContext, PreparedTableSchema
from dlt.common.destination.client import FollowupJobRequest
from dlt.common.normalizers.naming import NamingConvention
from dlt.common.schema.typing import TColumnSchema
from dlt.common.storages import FileStorage
from dlt.destinations.impl.sqlalchemy.configuration import SqlalchemyClientConfiguration
from dlt.destinations.impl.sqlalchemy.db_api_client import SqlalchemyClient
from dlt.destinations.impl.sqlalchemy.factory import sqlalchemy
from dlt.destinations.impl.sqlalchemy.merge_job import SqlalchemyMergeFollowupJob
from dlt.destinations.impl.sqlalchemy.sqlalchemy_job_client import SqlalchemyJobClient
from dlt.destinations.impl.sqlalchemy.type_mapper import MysqlVariantTypeMapper

from include.load import sql
from include.load.proof import ProvenDestination, ProvenStatementsJob
from include.load.sqlalchemy_client import InterruptedSqlalchemyClient, ProvenSqlalchemyClient


class ExactKeys(MysqlVariantTypeMapper):
    """dlt's types, with a collation for text keys."""

    def db_type_from_text_type(self, column: TColumnSchema, table: PreparedTableSchema) -> Any:
        """The type in SQL. In a table that an older version made, a key is compared by that of the staging table."""
        made = super().db_type_from_text_type(column, table)
        if isinstance(made, sa.String) and (column.get("primary_key") or column.get("merge_key")):
            made.collation = self._exact_collation()
        return made

    def _exact_collation(self) -> str | None:
        # Known as soon as there is a connection, and needed only to make tables. `utf8mb4_bin` pads: "abc " is "abc" to it.
        if getattr(self.dialect, "server_version_info", None) is None:
            return None
        return "utf8mb4_nopad_bin" if getattr(self.dialect, "is_mariadb", False) else "utf8mb4_0900_bin"


class OneStepMerge(SqlalchemyMergeFollowupJob):
    """dlt's merge, whose helper tables are made first: what follows them is one transaction."""

    @classmethod
    def generate_sql(
        cls,
        table_chain: Sequence[PreparedTableSchema],
        sql_client: SqlalchemyClient,  # type: ignore[override]
    ) -> list[str]:
        """dlt's statements. Each helper table has a name of its own, so that none depends on what comes before it."""
        statements = super().generate_sql(table_chain, sql_client)
        return sorted(statements, key=lambda statement: not _commits(statement))


class KilledQueryClient(InterruptedSqlalchemyClient):
    """dlt's SQL client, whose statements another connection can end."""

    def interrupt(self) -> None:
        """Have the server end what runs now; the connection stays."""
        thread = sql.literal(int(self.of_the_driver.thread_id()), "mysql")
        with self.engine.connect() as other:
            other.exec_driver_sql(f"KILL QUERY {thread}")


class OneStepJob(ProvenStatementsJob):
    """The merge or the replacement. What would commit comes first, before anything has changed."""

    def run(self) -> None:
        """Run dlt's statements."""
        self._sql_client = client = cast(Any, self._job_client.sql_client)
        # MariaDB would look through all of one table for each row of the other. MySQL knows no such setting, and needs none.
        if getattr(client.dialect, "is_mariadb", False):
            client.execute_sql("SET SESSION join_cache_level = 4")
        statements = self._split_fragments(self._text())
        helpers = list(takewhile(_commits, statements))
        client.execute_many(helpers)
        rest = statements[len(helpers) :]
        with self.maybe_transaction(";".join(rest)):
            client.execute_many(rest)

    def _text(self) -> str:
        with FileStorage.open_zipsafe_ro(self._file_path, "r", encoding="utf-8") as file:
            return str(file.read())


def _commits(statement: str) -> bool:
    return statement.lstrip().startswith(("DROP TABLE", "CREATE TABLE"))


class OneStepClient(ProvenSqlalchemyClient):
    """The client of both, with our merge."""

    interrupted_client = KilledQueryClient
    statements_job = OneStepJob

    def _create_merge_followup_jobs(self, table_chain: Sequence[PreparedTableSchema]) -> list[FollowupJobRequest]:
        for table in table_chain:
            self._to_table_object(table)
        return [OneStepMerge.from_table_chain(table_chain, self.sql_client)]


class one_step_mysql(ProvenDestination, sqlalchemy):  # dlt names its destinations in lower case
    """dlt's `sqlalchemy`, configured under `destination.sqlalchemy` like it."""

    @property
    def client_class(self) -> type[SqlalchemyJobClient]:
        """The client whose merge is one step."""
        return OneStepClient

    @classmethod
    def adjust_capabilities(
        cls,
        caps: DestinationCapabilitiesContext,
        config: SqlalchemyClientConfiguration,
        naming: NamingConvention | None,
    ) -> DestinationCapabilitiesContext:
        """dlt's, with our types."""
        adjusted = super().adjust_capabilities(caps, config, naming)
        adjusted.type_mapper = ExactKeys
        return adjusted
