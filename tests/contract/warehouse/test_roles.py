"""PostgreSQL keeps analysts out by itself, too: the role of a query reads one view and writes nothing."""

import asyncpg
import pytest

from studio9_cli.pytest_servers import address
from studio9_common.ids import new_id
from studio9_common.warehouse.port import Warehouse
from studio9_common.warehouse.schema import organisation_schema


async def test_the_role_of_an_organisation_reads_its_view_and_nothing_else(kind: str, warehouse: Warehouse) -> None:
    if kind != "postgresql":
        pytest.skip("only PostgreSQL has a role per organisation")
    organisation, other = new_id(), new_id()
    for each in (organisation, other):
        await warehouse.query(each, "SELECT 1 FROM predictions")
    role = organisation_schema(organisation)
    db = await asyncpg.connect(address("STUDIO9_TEST_POSTGRESQL_URL"))
    try:
        await db.execute(f"SET ROLE {role}")
        assert await db.fetch(f"SELECT * FROM {role}.predictions") == []
        for refused in (
            "SELECT * FROM studio9.prediction_rows",
            "SELECT * FROM studio9.prediction_loads",
            f"SELECT * FROM {organisation_schema(other)}.predictions",
            f"DELETE FROM {role}.predictions",
            f"CREATE TABLE {role}.mine (a int)",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await db.execute(refused)
    finally:
        await db.close()
