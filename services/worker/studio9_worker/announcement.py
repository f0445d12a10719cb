"""What this worker's trainers can do: their catalogue, asked of them once."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any

from studio9_common.errors import Studio9Error

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
        process.kill()
        await process.wait()
        raise NoCatalogue(f"{command[0]} --catalogue did not end within {ASK_S:.0f} s") from None
    except asyncio.CancelledError:
        process.kill()
        await process.wait()
        raise
    try:
        catalogue = json.loads(printed)
    except ValueError:
        last = complaints.decode(errors="replace").strip().splitlines()[-1:]
        raise NoCatalogue(f"{command[0]} --catalogue printed no JSON: {' '.join(last)}") from None
    if process.returncode != 0 or not isinstance(catalogue, dict):
        raise NoCatalogue(f"{command[0]} --catalogue ended with {process.returncode}")
    return {key: _without_nulls(value) for key, value in catalogue.items() if value is not None}


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(inner) for key, inner in value.items() if inner is not None}
    return [_without_nulls(inner) for inner in value] if isinstance(value, list) else value
