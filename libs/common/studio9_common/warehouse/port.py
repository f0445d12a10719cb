"""Prediction tables, loaded in bulk and exactly once.

Every adapter passes `tests/contract/warehouse`. A load is one transaction that writes the rows and the ledger's
line together; the ledger's key is (organisation, job, output), the manifest's sha256 is a check. The table's columns
are `studio9_common.contracts.predictions.COLUMNS`; a prediction_id is in an organisation's table at most once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from studio9_common.errors import BadInput, Conflict, Unavailable


class WarehouseUnavailable(Unavailable):
    """The warehouse cannot be reached or did not answer in time; the load is repeated, it cannot double rows."""


class ManifestChanged(Conflict):
    """This output was loaded before from another manifest; outputs are immutable, so one of the two is wrong."""

    code = "manifest_changed"


class BadPart(BadInput):
    """A part of the manifest cannot be loaded (missing, wrong checksum, wrong columns); nothing was loaded."""

    code = "bad_part"


class QueryRefused(BadInput):
    """Only one reading statement (SELECT or WITH) on the organisation's prediction views is allowed here."""

    code = "query_refused"


class QueryFailed(BadInput):
    """The statement was allowed but could not be carried out; the message says why (a name, a type, too slow)."""

    code = "query_failed"


@dataclass(frozen=True, slots=True)
class Part:
    """One gzip CSV with a header line, in object storage."""

    key: str
    sha256: str
    size: int
    rows: int


@dataclass(frozen=True, slots=True)
class Load:
    """What to load. `rows` is the number that must arrive, or the load fails as a whole."""

    organisation: str
    job: str
    output: str
    manifest_sha256: str
    parts: Sequence[Part]
    rows: int


@dataclass(frozen=True, slots=True)
class Loaded:
    """The ledger's line. `rows`: how many the load added, fewer than it held where predictions were in the table
    already (the same picture seen again by a stream). `repeated`: it had been loaded before and nothing was done."""

    rows: int
    loaded_at: str
    repeated: bool


@dataclass(frozen=True, slots=True)
class Rows:
    """The result of a query."""

    columns: list[str]
    rows: list[list[Any]]
    truncated: bool


class Warehouse(Protocol):
    """See the module's docstring."""

    async def prepare(self) -> None:
        """Creates the table, the ledger and the reading role's view if they are missing; adds missing columns."""
        ...

    async def load(self, load: Load) -> Loaded:
        """Raises ManifestChanged, BadPart, WarehouseUnavailable."""
        ...

    async def ledger(self, organisation: str, job: str, output: str) -> Loaded | None: ...

    async def query(
        self, organisation: str, sql: str, parameters: Mapping[str, Any] | None = None, *, limit: int = 10_000
    ) -> Rows:
        """Runs one reading statement that sees this organisation's rows only, as the view `predictions`.

        `:name` in the statement stands for `parameters["name"]`. At most `limit` rows; times come as RFC 3339 text,
        decimals as floats. Raises QueryRefused, QueryFailed, WarehouseUnavailable.
        """
        ...

    async def ping(self) -> None: ...

    async def close(self) -> None: ...
