"""The names of tables and columns that every warehouse uses, and the DDL that follows from them."""

import hashlib
from collections.abc import Callable, Sequence

from studio9_common.contracts.predictions import COLUMNS, Column

SCHEMA = "studio9"
TABLE = "prediction_rows"
LEDGER = "prediction_loads"
VIEW = "predictions"
"""What analysts read: the columns of COLUMNS, their organisation's rows. New columns are added at the end: a view can
be extended, not reordered."""

NAMES = tuple(column.name for column in COLUMNS)
LEDGER_COLUMNS = ("organisation", "job", "output", "manifest_sha256", "loaded_rows", "loaded_at")


def quoted(name: str) -> str:
    """An identifier in double quotes (`commit` is a keyword in some dialects)."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A string literal. Only for text that is known to hold no backslash, such as ids."""
    if "\\" in text or "\0" in text:
        raise ValueError("text with a backslash or NUL cannot be a plain literal")
    return "'" + text.replace("'", "''") + "'"


def listed(names: Sequence[str], prefix: str = "") -> str:
    """Quoted identifiers, separated by commas."""
    return ", ".join(prefix + quoted(name) for name in names)


def definitions(type_of: Callable[[Column], str], names: Sequence[str] = NAMES, *, strict: bool = True) -> str:
    """The column list of CREATE TABLE. With `strict`, NOT NULL where the contract says so."""
    columns = {column.name: column for column in COLUMNS}
    return ", ".join(
        f"{quoted(name)} {type_of(columns[name])}{' NOT NULL' if strict and not columns[name].nullable else ''}"
        for name in names
    )


def organisation_schema(organisation: str) -> str:
    """The schema with one organisation's view, where views live beside the tables: `org_` and 16 hex digits."""
    return "org_" + hashlib.sha256(organisation.encode()).hexdigest()[:16]


def view(organisation: str, name: str) -> str:
    """The statement that defines an organisation's view under `name`."""
    return (
        f"CREATE OR REPLACE VIEW {name} AS SELECT {listed(NAMES)} FROM {SCHEMA}.{TABLE}"
        f" WHERE organisation = {literal(organisation)}"
    )
