"""What an agent remembers of the images that it pulled; with an engine and a registry: tests/containers."""

from pathlib import Path
from typing import Any, cast

import pytest

from studio9_common.errors import BadInput
from studio9_worker.runners.engine import Engine
from studio9_worker.runners.images import ImageStore
from studio9_worker.runners.port import ImageMissing, Login

NOBODY = cast(Engine, None)
"""Whoever refuses before asking needs no engine."""


@pytest.mark.parametrize("reference", ["debian", "debian:latest", "name@sha256:12", "sha256:" + "g" * 64, ""])
def test_what_is_not_fixed_is_refused_before_anybody_is_asked(tmp_path: Path, reference: str) -> None:
    with pytest.raises(ImageMissing, match="no fixed image"):
        ImageStore(NOBODY, tmp_path / "images.json", 0).bring("j.1", reference)


@pytest.mark.parametrize("content", ["", "[]", "{", '{"a": 1}', '{"a": {"unknown": 1}}'])
def test_a_damaged_list_is_told_and_removes_nothing(tmp_path: Path, content: str) -> None:
    (tmp_path / "images.json").write_text(content)
    with pytest.raises(BadInput, match="damaged"):
        ImageStore(NOBODY, tmp_path / "images.json", 0)


def test_a_password_is_not_shown() -> None:
    shown: list[Any] = [repr(Login("ana", "s3cret")), str(Login("ana", "s3cret"))]
    assert not [text for text in shown if "s3cret" in text]
