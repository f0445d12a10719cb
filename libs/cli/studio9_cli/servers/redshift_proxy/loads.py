"""Redshift's COPY statement, read into its parts (Database Developer Guide, "COPY")."""

import re
from dataclasses import dataclass, field

_COPY = re.compile(
    r"""\s*copy\s+(?P<table>[\w".]+)\s*(?:\((?P<columns>[^)]*)\)\s*)?from\s+'s3://(?P<bucket>[^/']+)/(?P<key>[^']*)'
    (?P<options>.*?);?\s*$""",
    re.IGNORECASE | re.DOTALL | re.VERBOSE,
)
_ANY_COPY = re.compile(r"\s*copy\s+[\w\".]+\s*(?:\([^)]*\)\s*)?from\s+'", re.IGNORECASE)
_TEXT = r"'((?:[^']|'')*)'"


class BadCopy(Exception):
    """The COPY statement is not one that Redshift accepts, or uses a part that this proxy lacks."""


@dataclass(frozen=True, slots=True)
class Copy:
    """One load. `key` is a prefix, or the manifest's key. No `credentials` mean: the proxy's own."""

    table: str
    columns: tuple[str, ...]
    bucket: str
    key: str
    manifest: bool = False
    gzip: bool = False
    csv: bool = False
    skip_lines: int = 0
    delimiter: str = "|"
    null: str | None = None
    empty_as_null: bool = False
    credentials: dict[str, str] = field(default_factory=dict)

    def statement(self) -> str:
        """The PostgreSQL statement that takes the objects' rows from the connection."""
        options = [f"FORMAT {'csv' if self.csv else 'text'}", f"DELIMITER {_literal(self.delimiter)}"]
        if self.null is not None:
            options.append(f"NULL {_literal(self.null)}")
        if self.empty_as_null and self.csv and self.columns:
            options.append(f"FORCE_NULL ({', '.join(self.columns)})")
        columns = f" ({', '.join(self.columns)})" if self.columns else ""
        return f"COPY {self.table}{columns} FROM STDIN WITH ({', '.join(options)})"


# Each option: its words, and the fields it sets from what it captured. An option of Redshift's that changes nothing
# here (PostgreSQL reads ISO times by itself, and has no column encodings) sets none.
_OPTIONS: list[tuple[str, str]] = [
    ("manifest", r"MANIFEST\b"),
    ("gzip", r"GZIP\b"),
    ("csv", r"(?:FORMAT\s+(?:AS\s+)?)?CSV\b(?:\s+QUOTE\s+(?:AS\s+)?'\"')?"),
    ("skip_lines", r"IGNOREHEADER\s+(?:AS\s+)?(\d+)"),
    ("delimiter", rf"DELIMITER\s+(?:AS\s+)?{_TEXT}"),
    ("null", rf"NULL\s+(?:AS\s+)?{_TEXT}"),
    ("empty_as_null", r"EMPTYASNULL\b"),
    ("access_key", rf"ACCESS_KEY_ID\s+(?:AS\s+)?{_TEXT}"),
    ("secret_key", rf"SECRET_ACCESS_KEY\s+(?:AS\s+)?{_TEXT}"),
    ("token", rf"SESSION_TOKEN\s+(?:AS\s+)?{_TEXT}"),
    ("pair", rf"(?:WITH\s+)?CREDENTIALS\s+(?:AS\s+)?{_TEXT}"),
    ("role", rf"IAM_ROLE\s+(?:{_TEXT}|DEFAULT)"),
    ("", rf"(?:TIMEFORMAT|DATEFORMAT|REGION)\s+(?:AS\s+)?{_TEXT}"),
    ("", r"(?:COMPUPDATE|STATUPDATE)(?:\s+(?:ON|OFF|PRESET))?\b"),
    ("", r"(?:BLANKSASNULL|ACCEPTANYDATE|EXPLICIT_IDS|TRIMBLANKS|MAXERROR\s+(?:AS\s+)?0)\b"),
]


def read(sql: str) -> Copy | None:
    """The load that this statement asks for; None if it is no COPY from S3. Raises `BadCopy`."""
    match = _COPY.match(sql)
    if match is None:
        if _ANY_COPY.match(sql):
            raise BadCopy("COPY reads from 's3://bucket/key' only")
        return None
    found = _options(match.group("options"))
    credentials = _credentials(found)
    csv = "csv" in found
    return Copy(
        table=match.group("table"),
        columns=tuple(name.strip() for name in (match.group("columns") or "").split(",") if name.strip()),
        bucket=match.group("bucket"),
        key=match.group("key"),
        manifest="manifest" in found,
        gzip="gzip" in found,
        csv=csv,
        skip_lines=int(found.get("skip_lines", "0")),
        delimiter=found.get("delimiter", "," if csv else "|"),
        null=found.get("null"),
        empty_as_null="empty_as_null" in found,
        credentials=credentials,
    )


def _options(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    text = text.strip()
    while text:
        for name, pattern in _OPTIONS:
            match = re.match(pattern + r"\s*", text, re.IGNORECASE)
            if match:
                if name:
                    found[name] = (match.group(1) or "").replace("''", "'") if match.groups() else ""
                text = text[match.end() :]
                break
        else:
            raise BadCopy(f'syntax error at or near "{text.split()[0]}" in COPY (or an option this proxy lacks)')
    return found


def _credentials(found: dict[str, str]) -> dict[str, str]:
    if "access_key" in found and "secret_key" in found:
        return {key: found[key] for key in ("access_key", "secret_key", "token") if key in found}
    if "pair" in found:
        pairs = dict(part.partition("=")[::2] for part in found["pair"].split(";"))
        names = {"access_key": "aws_access_key_id", "secret_key": "aws_secret_access_key", "token": "token"}
        return {key: pairs[name] for key, name in names.items() if name in pairs}
    if "role" in found:
        return {}
    raise BadCopy("COPY needs IAM_ROLE, CREDENTIALS, or ACCESS_KEY_ID with SECRET_ACCESS_KEY")


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
