from datetime import UTC, datetime, timedelta, timezone

import pytest

from studio9_common.ids import created_at, is_id, month_of, new_id
from studio9_common.times import format_time, parse_time


def test_ids_are_ordered_by_time_and_carry_their_month() -> None:
    first = new_id(now_ms=int(datetime(2026, 10, 31, 23, 59, 59, tzinfo=UTC).timestamp() * 1000))
    second = new_id(now_ms=int(datetime(2026, 11, 1, tzinfo=UTC).timestamp() * 1000))
    assert first < second
    assert (month_of(first), month_of(second)) == ("2026.10", "2026.11")
    assert created_at(second) == datetime(2026, 11, 1, tzinfo=UTC)


def test_ids_are_unique_and_recognised() -> None:
    made = {new_id() for _ in range(1000)}
    assert len(made) == 1000
    assert all(map(is_id, made))
    assert not is_id("0190-not-an-id")
    assert not is_id(next(iter(made)).upper())


def test_the_same_time_and_entropy_give_the_same_id() -> None:
    assert new_id(now_ms=1, entropy=b"0123456789") == new_id(now_ms=1, entropy=b"0123456789")


def test_the_month_of_other_text_is_refused() -> None:
    with pytest.raises(ValueError, match="not a UUIDv7"):
        month_of("9a0e8400-e29b-41d4-a716-446655440000")


def test_times_have_six_digits_and_z_and_come_back() -> None:
    value = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=2)))
    assert format_time(value) == "2026-01-02T01:04:05.000000Z"
    assert parse_time(format_time(value)) == value


@pytest.mark.parametrize("bad", ["2026-01-02T03:04:05", "yesterday"])
def test_times_without_a_zone_are_refused(bad: str) -> None:
    with pytest.raises(ValueError):
        parse_time(bad)
    with pytest.raises(ValueError):
        format_time(datetime(2026, 1, 1))
