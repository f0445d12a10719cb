"""The same tests for every adapter: DuckDB; PostgreSQL; Redshift's driver and SQL through the proxy, parts on S3."""

from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import boto3
import pytest
from pydantic import SecretStr

from studio9_cli.pytest_servers import address
from studio9_common.ids import new_id
from studio9_common.objects.connect import ObjectsSettings, open_objects
from studio9_common.objects.port import Objects
from studio9_common.warehouse.connect import WarehouseSettings, open_warehouse
from studio9_common.warehouse.port import Warehouse

NEEDED = {
    "duckdb": (),
    "postgresql": ("STUDIO9_TEST_POSTGRESQL_URL",),
    "redshift": ("STUDIO9_TEST_REDSHIFT_URL", "STUDIO9_TEST_S3_URL"),
}


Place = tuple[WarehouseSettings, ObjectsSettings]
"""Where one test's warehouse and its objects are; another process can open the same."""


@pytest.fixture(params=NEEDED)
def kind(request: pytest.FixtureRequest) -> str:
    for name in NEEDED[request.param]:
        address(name)
    return str(request.param)


@pytest.fixture
def place(kind: str, tmp_path: Path) -> Place:
    local = ObjectsSettings(url=(tmp_path / "objects").as_uri())
    if kind == "duckdb":
        return WarehouseSettings(url=SecretStr(f"duckdb://{tmp_path}/warehouse.duckdb")), local
    if kind == "postgresql":
        return WarehouseSettings(url=SecretStr(address("STUDIO9_TEST_POSTGRESQL_URL"))), local
    server = urlsplit(address("STUDIO9_TEST_S3_URL"))
    endpoint, bucket = f"http://{server.hostname}:{server.port}", f"warehouse-{new_id()}"
    access, secret = server.username or "", server.password or ""
    keys = {"aws_access_key_id": access, "aws_secret_access_key": secret}
    boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1", **keys).create_bucket(Bucket=bucket)
    return (
        WarehouseSettings(
            url=SecretStr(address("STUDIO9_TEST_REDSHIFT_URL")),
            ssl=False,
            objects_url=f"s3://{bucket}/below",
            access_key=access,
            secret_key=SecretStr(secret),
        ),
        ObjectsSettings(url=f"s3://{bucket}/below", endpoint=endpoint, access_key=access, secret_key=SecretStr(secret)),
    )


@pytest.fixture
async def objects(place: Place) -> AsyncIterator[Objects]:
    opened = open_objects(place[1])
    yield opened
    await opened.close()


@pytest.fixture
async def out_of_reach(place: Place, objects: Objects, tmp_path: Path) -> Warehouse:
    """The same adapter; its file is closed, or nothing listens at its address."""
    scheme = place[0].url.get_secret_value().partition(":")[0]
    url = f"duckdb://{tmp_path}/closed.duckdb" if scheme == "duckdb" else f"{scheme}://a:b@127.0.0.1:1/nowhere"
    closed = open_warehouse(place[0].model_copy(update={"url": SecretStr(url)}), objects)
    await closed.close()
    return closed


@pytest.fixture
async def warehouse(place: Place, objects: Objects) -> AsyncIterator[Warehouse]:
    opened = open_warehouse(place[0], objects)
    await opened.prepare()
    yield opened
    await opened.close()
