"""Runs the journey on a platform of its own: starts `studio9 up`, makes the user, stops it again."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from studio9_cli.demo.api import Api, ApiError
from studio9_cli.demo.digits import Page, build_pages
from studio9_cli.demo.journey import CONFIDENCE, EPOCHS, PICTURE_SIZE, Journey, Sql, Surroundings
from studio9_cli.demo.passwords import new_password
from studio9_cli.demo.show import Show
from studio9_cli.demo.waiting import JourneyFailed
from studio9_cli.platform.operators import Operators
from studio9_cli.platform.run import BUCKET
from studio9_cli.platform.state import NotRunning, Running, StateFolder, write_private
from studio9_cli.project import root
from studio9_common.errors import Studio9Error

ORGANISATION = "Studio9 demo"
USER = "demo"
START_LIMIT_S = 60


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """`pages` of the train album; test, predict and online albums get a quarter, an eighth, a sixteenth of it.
    `buckets_endpoint`: the S3 server of users' buckets, if not AWS."""

    state: Path
    port: int = 20016
    keep: bool = False
    epochs: int = EPOCHS
    pages: int = 160
    confidence: float = CONFIDENCE
    buckets_endpoint: str = ""


def pages_of(folder: Path, count: int) -> dict[str, list[Page]]:
    """The labelled pages by split."""
    return {
        "train": build_pages(folder, count, PICTURE_SIZE, split="train"),
        "test": build_pages(folder, max(4, count // 4), PICTURE_SIZE, split="test"),
        "predict": build_pages(folder, max(2, count // 8), PICTURE_SIZE, split="predict"),
        "online": build_pages(folder, max(2, count // 16), PICTURE_SIZE, split="online"),
    }


async def run_demo(options: DemoOptions, show: Show) -> tuple[dict[str, Any], str]:
    """The figures, and what went wrong (empty: nothing)."""
    began = time.monotonic()
    figures: dict[str, Any] = {}
    process: subprocess.Popen[bytes] | None = None
    error = ""
    try:
        show.step(1, "Starting the platform: every service in one process")
        process, running = await start(options)
        show.note(f"Baile answers on {running.baile}; state in {options.state}")
        with tempfile.TemporaryDirectory(prefix="studio9-pages-") as folder:
            pages = await asyncio.to_thread(pages_of, Path(folder), options.pages)
            await _journey(options, running, show, pages, figures)
        figures["seconds"] = round(time.monotonic() - began, 1)
        show.step(9, "Done" if options.keep else "Stopping")
    except (JourneyFailed, ApiError, Studio9Error, OSError, httpx.HTTPError) as failure:
        error = str(failure) or type(failure).__name__
    finally:
        show.end()
        if process is not None and (error or not options.keep):
            await asyncio.to_thread(stop, process)
    if not error:
        shown = {name: value for name, value in figures.items() if isinstance(value, int | float)}
        show.table("Figures", ("figure", "value"), sorted(shown.items()))
    return figures, error


async def _journey(
    options: DemoOptions, running: Running, show: Show, pages: dict[str, list[Page]], figures: dict[str, Any]
) -> None:
    api = Api(running.baile)
    try:
        async with Operators.of(options.state) as operators:
            show.step(2, "The first user, by a one-time token")
            await sign_in(api, operators, StateFolder(options.state))
            show.note(f"signed in as {USER}; the password is in {options.state / 'demo.json'}")
            organisation = await operators.organisation(ORGANISATION)
            around = surroundings(options.state, operators, organisation)
            journey = Journey(api, show, pages, around, epochs=options.epochs, confidence=options.confidence)
            try:
                await journey.run()
            finally:
                figures.update(journey.figures.values)
    finally:
        await api.close()


def surroundings(state: Path, operators: Operators, organisation: str) -> Surroundings:
    """Those of the embedded platform: a watched folder, Pegasus' SQL, Taurus' count of notifications."""

    async def drop(name: str, content: bytes) -> None:
        path = state / "buckets" / BUCKET / name
        await asyncio.to_thread(path.parent.mkdir, parents=True, exist_ok=True)
        part = path.with_name(path.name + ".part")
        await asyncio.to_thread(part.write_bytes, content)
        part.rename(path)

    async def sql(statement: str) -> Sql:
        columns, rows = await operators.sql(organisation, statement)
        return Sql(columns, rows)

    return Surroundings(drop=drop, sql=sql, notifications=operators.notifications)


async def sign_in(api: Api, operators: Operators, folder: StateFolder) -> None:
    """Signs in; makes the organisation and its user first where this state folder has none. The password is random."""
    file = folder.path / "demo.json"
    if not file.exists():
        write_private(file, json.dumps({"username": USER, "password": new_password()}))
    known = json.loads(file.read_text())
    try:
        await api.sign_in(known["username"], known["password"])
        return
    except ApiError as error:
        if error.status not in (400, 401):
            raise
    body = {
        "token": await operators.bootstrap_token(),
        "organisation": ORGANISATION,
        "email": "demo@studio9.example",
        "firstName": "Studio",
        "lastName": "Nine",
        **known,
    }
    await api.post("/v1/bootstrap", body)
    await api.sign_in(known["username"], known["password"])


async def start(options: DemoOptions) -> tuple[subprocess.Popen[bytes] | None, Running]:
    """Starts `studio9 up` in a session of its own, or takes the one that runs on this state folder."""
    folder = StateFolder(options.state)
    with suppress(NotRunning):
        return None, folder.running()
    process = await asyncio.to_thread(_spawn, options, folder)
    end = time.monotonic() + START_LIMIT_S
    while time.monotonic() < end:
        with suppress(NotRunning):
            return process, folder.running()
        if process.poll() is not None:
            text = (folder.path / "log").read_text(errors="replace").strip()
            raise JourneyFailed(f"the platform ended at its start: {text.splitlines()[-1] if text else 'no log'}")
        await asyncio.sleep(0.1)
    stop(process)
    raise JourneyFailed(f"the platform did not answer within {START_LIMIT_S} s")


def _spawn(options: DemoOptions, folder: StateFolder) -> "subprocess.Popen[bytes]":
    folder.path.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-P", "-m", "studio9_cli", "up", "--state", str(folder.path)]
    command += ["--port", str(options.port), "--log-level", "warning", "--log-format", "json"]
    command += ["--buckets-endpoint", options.buckets_endpoint]
    with (folder.path / "log").open("ab") as log:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd=root()
        )


def stop(process: "subprocess.Popen[bytes]") -> None:
    """SIGTERM, and SIGKILL for the whole session if it takes over 30 s."""
    with suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
