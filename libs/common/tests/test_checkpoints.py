"""Keys of checkpoints say in which order they were made."""

import pytest

from studio9_common.contracts.checkpoints import checkpoint_key, is_older

PREFIX = "acme/jobs/j1/2/"


def key(epoch: int, step: int = 0, *, prefix: str = PREFIX, sha256: str = "f" * 64) -> str:
    return checkpoint_key(prefix, epoch=epoch, step=step, sha256=sha256, suffix=".pt")


def test_a_key_is_as_documented() -> None:
    assert key(3, 12, sha256="0123456789abcdef" * 4) == "acme/jobs/j1/2/checkpoints/000003-00000012-0123456789abcdef.pt"


@pytest.mark.parametrize(
    ("one", "other", "older"),
    [
        (key(1), key(2), True),
        (key(2), key(1), False),
        (key(2, 5), key(2, 30), True),
        (key(9_999_999), key(10_000_000), True),
        (key(1), key(1, sha256="a" * 64), False),
        (key(1, prefix="acme/jobs/j1/1/"), key(2), False),
        ("acme/jobs/j1/2/last.pt", key(2), False),
    ],
)
def test_which_of_two_is_older(one: str, other: str, older: bool) -> None:
    assert is_older(one, other) is older
