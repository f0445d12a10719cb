"""What this worker's trainers can do: their catalogue, asked of them once."""

import asyncio
import json
import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from tempfile import TemporaryFile
from typing import Any

from studio9_common.errors import Studio9Error
from studio9_worker.runners.container import ContainerRunner
from studio9_worker.runners.port import RunnerError

ASK_S = 120.0
"""Importing the trainers' libraries for the first time may take long on a cold disk."""


class NoCatalogue(Studio9Error):
    """The trainers' environment does not tell its catalogue; run `./studio9 setup`, or correct trainers_python."""

    code = "no_catalogue"


async def ask_catalogue(command: Sequence[str], *, within_s: float = ASK_S) -> Mapping[str, Any]:
    """What `command --catalogue` prints, as JSON without nulls. Raises NoCatalogue, also if that takes longer than
    `within_s` seconds. Whatever the program started in its process group ends with it."""
    # Into files: a pipe would be waited for until the last child of the program that has it is gone.
    with TemporaryFile() as printed, TemporaryFile() as complaints:
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                "--catalogue",
                stdin=asyncio.subprocess.DEVNULL,
                stdout=printed,
                stderr=complaints,
                env={"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"},
                start_new_session=True,
            )
        except OSError as error:
            raise NoCatalogue(f"{command[0]} cannot be started: {error.strerror}") from None
        try:
            async with asyncio.timeout(within_s):
                await process.wait()
        except TimeoutError:
            raise NoCatalogue(f"{command[0]} --catalogue did not end within {within_s:.0f} s") from None
        finally:
            await end_process(process)
        for file in (printed, complaints):
            file.seek(0)
        last = complaints.read().decode(errors="replace").strip().splitlines()[-1:]
        return _read(command[0], printed.read(), process.returncode, " ".join(last))


async def end_process(process: asyncio.subprocess.Process) -> None:
    """SIGKILL for a process that was started in a session of its own, which may have ended meanwhile, and for what it
    has left in its group; waits for its own end."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
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
