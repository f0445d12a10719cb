"""The event loop of programs that serve."""

import asyncio
import importlib
from types import ModuleType

import pytest

from studio9_common.errors import BadInput, Studio9Error, Unavailable
from studio9_common.service import loop_factory, run


async def module_of_the_loop() -> str:
    await asyncio.sleep(0)
    return type(asyncio.get_running_loop()).__module__


def test_a_program_runs_on_the_quicker_loop_where_it_is_installed() -> None:
    quicker = loop_factory() is not None
    assert run(module_of_the_loop(), "test").startswith("uvloop" if quicker else "asyncio")


def test_it_does_without(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> ModuleType:
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    assert run(module_of_the_loop(), "test").startswith("asyncio")


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (BadInput("no number", field="port", value="a\nb", fix="write one"), "no number (port = a b); write one"),
        (BadInput("no key is set", field="token_keys"), "no key is set (token_keys)"),
        (Unavailable("nobody there"), "nobody there"),
    ],
)
def test_an_error_of_ours_ends_a_program_with_one_line(error: Studio9Error, line: str) -> None:
    async def program() -> None:
        raise error

    with pytest.raises(SystemExit) as ended:
        run(program(), "test")
    assert ended.value.code == f"studio9_test: {line}"
