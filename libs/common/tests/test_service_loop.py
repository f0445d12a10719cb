"""The event loop of programs that serve."""

import asyncio
import importlib
from types import ModuleType

import pytest

from studio9_common.service import loop_factory, run


async def module_of_the_loop() -> str:
    await asyncio.sleep(0)
    return type(asyncio.get_running_loop()).__module__


def test_a_program_runs_on_the_quicker_loop_where_it_is_installed() -> None:
    quicker = loop_factory() is not None
    assert run(module_of_the_loop()).startswith("uvloop" if quicker else "asyncio")


def test_it_does_without(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> ModuleType:
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    assert run(module_of_the_loop()).startswith("asyncio")
