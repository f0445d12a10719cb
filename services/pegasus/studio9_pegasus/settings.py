"""Settings of Pegasus (`STUDIO9_PEGASUS_…`)."""

from typing import ClassVar

from pydantic import Field, SecretStr

from studio9_common.live import LIVE
from studio9_common.objects.port import Objects
from studio9_common.objects.settings import WithObjects
from studio9_common.warehouse.connect import WarehouseSettings, open_warehouse
from studio9_common.warehouse.port import Warehouse


class PegasusSettings(WithObjects):
    """Where predictions are loaded, and what analysts may ask for."""

    service: ClassVar[str] = "pegasus"

    warehouse_url: SecretStr = Field(
        SecretStr(""),
        description="duckdb:///file, postgresql://user:password@host/database or redshift://user:password@host/database",
    )
    warehouse_ssl: bool = Field(True, description="Redshift: encrypt the connection")
    warehouse_objects_url: str | None = Field(
        None, description="Redshift: s3://bucket/prefix that COPY reads; empty: objects_url"
    )
    warehouse_iam_role: str | None = Field(None, description="Redshift: role that COPY reads the parts with")
    warehouse_access_key: str | None = Field(None, description="Redshift: access key for COPY, in place of a role")
    warehouse_secret_key: SecretStr | None = Field(None, description="Redshift: secret key for COPY")
    warehouse_region: str | None = Field(None, description="Redshift: region of the bucket, if it is another")
    query_timeout_s: float = Field(30.0, gt=0, le=3600, description="longest run of an analyst's statement")
    query_rows: int = Field(10_000, ge=1, le=1_000_000, description="most rows of one answer", json_schema_extra=LIVE)
    load_rows: int = Field(
        100_000_000, ge=1, description="most rows of one output; a larger one is refused", json_schema_extra=LIVE
    )

    def open_warehouse(self, objects: Objects) -> Warehouse:
        """The adapter for `warehouse_url`; empty means a DuckDB file in the state folder. Raises BadInput."""
        url = self.warehouse_url.get_secret_value() or f"duckdb:///{(self.state_dir / 'warehouse.duckdb').absolute()}"
        return open_warehouse(
            WarehouseSettings(
                url=SecretStr(url),
                query_timeout_s=self.query_timeout_s,
                ssl=self.warehouse_ssl,
                objects_url=self.warehouse_objects_url or self.objects_url or None,
                iam_role=self.warehouse_iam_role,
                access_key=self.warehouse_access_key,
                secret_key=self.warehouse_secret_key,
                region=self.warehouse_region,
            ),
            objects,
        )
