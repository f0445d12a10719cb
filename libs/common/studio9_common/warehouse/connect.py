"""Opens the warehouse that the settings name."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from studio9_common.errors import BadInput
from studio9_common.objects.port import Objects
from studio9_common.warehouse.duckdb import DuckDbWarehouse
from studio9_common.warehouse.port import Warehouse
from studio9_common.warehouse.postgresql import PostgreSqlWarehouse
from studio9_common.warehouse.redshift import RedshiftAddress, RedshiftWarehouse


class WarehouseSettings(BaseModel):
    """Where predictions are loaded. The URL holds the password, so it is never shown."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: SecretStr = Field(
        description="duckdb:///file, postgresql://user:password@host/database or redshift://user:password@host:5439/database"
    )
    query_timeout_s: float = Field(default=30.0, gt=0, le=3600, description="longest run of an analyst's statement")
    ssl: bool = Field(default=True, description="Redshift: encrypt the connection")
    objects_url: str | None = Field(default=None, description="Redshift: s3://bucket/prefix of the object storage")
    iam_role: str | None = Field(default=None, description="Redshift: role that COPY reads the parts with")
    access_key: str | None = Field(default=None, description="Redshift: access key for COPY, in place of a role")
    secret_key: SecretStr | None = Field(default=None, description="Redshift: secret key for COPY")
    region: str | None = Field(default=None, description="Redshift: region of the bucket, if it is another")


def open_warehouse(settings: WarehouseSettings, objects: Objects) -> Warehouse:
    """The adapter for the URL's scheme. Raises BadInput for another scheme or an incomplete URL."""
    url = settings.url.get_secret_value()
    parts = urlsplit(url)
    if parts.scheme == "duckdb" and parts.path:
        return DuckDbWarehouse(Path(unquote(parts.path)), objects, timeout_s=settings.query_timeout_s)
    if parts.scheme == "postgresql" and parts.hostname:
        return PostgreSqlWarehouse(url, objects, timeout_s=settings.query_timeout_s)
    if parts.scheme == "redshift" and parts.hostname and settings.objects_url:
        address = RedshiftAddress(
            host=parts.hostname,
            port=parts.port or 5439,
            database=parts.path.lstrip("/"),
            user=unquote(parts.username or ""),
            password=unquote(parts.password or ""),
            objects_url=settings.objects_url,
            iam_role=settings.iam_role,
            access_key=settings.access_key,
            secret_key=settings.secret_key.get_secret_value() if settings.secret_key else None,
            region=settings.region,
            ssl=settings.ssl,
        )
        return RedshiftWarehouse(address, objects, timeout_s=settings.query_timeout_s)
    raise BadInput(
        f"this is no address of a warehouse: {parts.scheme}://…",
        field="warehouse.url",
        fix="duckdb:///file, postgresql://host/database, or redshift://host/database with objects_url",
    )
