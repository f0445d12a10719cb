"""What this worker's trainers can do: their catalogue, asked of them once."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from studio9_common.errors import Studio9Error
from studio9_worker.runners.container import ContainerRunner
from studio9_worker.runners.port import RunnerError

ASK_S = 120.0
"""Importing the trainers' libraries for the first time may take long on a cold disk."""


class NoCatalogue(Studio9Error):
    """The trainers' environment does not tell its catalogue; run `./studio9 setup`, or correct trainers_python."""

    code = "no_catalogue"


async def ask_catalogue(command: Sequence[str]) -> Mapping[str, Any]:
    """What `command --catalogue` prints, as JSON without nulls. Raises NoCatalogue."""
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            "--catalogue",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"},
        )
    except OSError as error:
        raise NoCatalogue(f"{command[0]} cannot be started: {error.strerror}") from None
    try:
        async with asyncio.timeout(ASK_S):
            printed, complaints = await process.communicate()
    except TimeoutError:
        await end_process(process)
        raise NoCatalogue(f"{command[0]} --catalogue did not end within {ASK_S:.0f} s") from None
    except asyncio.CancelledError:
        await end_process(process)
        raise
    last = complaints.decode(errors="replace").strip().splitlines()[-1:]
    return _read(command[0], printed, process.returncode, " ".join(last))


async def end_process(process: asyncio.subprocess.Process) -> None:
    """SIGKILL, also for one that may have ended meanwhile; waits for its end."""
    with suppress(ProcessLookupError):
        process.kill()
    await process.wait()


async def ask_image(runner: ContainerRunner) -> Mapping[str, Any]:
    """What the image of tasks that bring none prints for `--catalogue`. Raises NoCatalogue."""
    try:
        code, printed = await asyncio.to_thread(runner.ask, "--catalogue", within_s=ASK_S)
    except RunnerError as error:
        raise NoCatalogue(error.message) from None
    return _read("task_image", printed, code, "")


def _read(program: str, printed: bytes, code: int | None, complaint: str) -> Mapping[str, Any]:
    try:
        catalogue = json.loads(printed)
    except ValueError:
        raise NoCatalogue(f"{program} --catalogue printed no JSON: {complaint}") from None
    if code != 0 or not isinstance(catalogue, dict):
        raise NoCatalogue(f"{program} --catalogue ended with {code}")
    return {key: _without_nulls(value) for key, value in catalogue.items() if value is not None}


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(inner) for key, inner in value.items() if inner is not None}
    return [_without_nulls(inner) for inner in value] if isinstance(value, list) else value
