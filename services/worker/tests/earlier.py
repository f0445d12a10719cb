"""An earlier version of the code beside this one, for tests of an upgrade."""

import io
import os
import subprocess
import tarfile
from collections.abc import Sequence
from pathlib import Path

BEFORE = "8684abff08bd3e2aa0bb9f4074412fb87266accb"
"""The commit that stands for the version before: until there is a release, one from before the latest features."""
ROOT = Path(__file__).parents[3]


class NoEarlierCode(Exception):
    """The earlier commit cannot be had from git here; a shallow clone has none."""


def earlier(folder: Path, parts: Sequence[str], commit: str = BEFORE) -> str:
    """Unpacks some package roots (such as libs/common) of a commit into a folder; the PYTHONPATH that puts them before
    this version's. Raises NoEarlierCode. Blocks."""
    command = ["git", "-C", str(ROOT), "archive", commit, *parts]
    try:
        packed = subprocess.run(command, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise NoEarlierCode(f"commit {commit} cannot be had from git here (a shallow clone?): {error}") from error
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(folder, filter="data")
    return os.pathsep.join(str(folder / part) for part in parts)
