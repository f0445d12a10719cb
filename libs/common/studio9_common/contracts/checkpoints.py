"""Keys of uploaded checkpoints: `{attempt's prefix}checkpoints/{epoch}-{step}-{hash}{suffix}`, in the order of their
making."""

import re

_PLACE = re.compile(r"/checkpoints/(\d{6,})-(\d{8,})-[0-9a-f]+[^/]*")


def checkpoint_key(prefix: str, *, epoch: int, step: int, sha256: str, suffix: str) -> str:
    """Where an attempt's checkpoint goes; `prefix` ends with a slash, `suffix` begins with a dot or is empty."""
    return f"{prefix}checkpoints/{epoch:06d}-{step:08d}-{sha256[:16]}{suffix}"


def is_older(key: str, than: str) -> bool:
    """Whether the checkpoint of one key was made before that of another of the same attempt; not if a key does not
    say."""
    one, other = _PLACE.search(key), _PLACE.search(than)
    if one is None or other is None or key[: one.start()] != than[: other.start()]:
        return False
    return (int(one[1]), int(one[2])) < (int(other[1]), int(other[2]))
