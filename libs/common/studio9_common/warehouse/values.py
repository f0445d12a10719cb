"""Values of a result as JSON can carry them."""

import uuid
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from studio9_common.times import format_time
from studio9_common.warehouse.port import Rows


def rows_of(columns: Sequence[str], found: Iterable[Sequence[Any]], limit: int) -> Rows:
    """A result of at most `limit` rows out of up to `limit` + 1 that were read."""
    plain = [[plain_value(value) for value in row] for row in found]
    return Rows(list(columns), plain[:limit], truncated=len(plain) > limit)


def plain_value(value: Any) -> Any:
    """Times without a zone are UTC; bytes become hex, intervals seconds."""
    if isinstance(value, datetime):
        return format_time(value if value.tzinfo else value.replace(tzinfo=UTC))
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() and value.as_tuple().exponent == 0 else float(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).hex()
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, dict):
        return {str(key): plain_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set):
        return [plain_value(item) for item in value]
    return value
