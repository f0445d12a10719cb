"""Runs the parts: turn by turn, those of one turn a few at a time, in order."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from itertools import groupby
from pathlib import Path

from studio9_cli import project
from studio9_cli.pytest_servers import REASONS, TRAINERS_PYTHON
from studio9_cli.servers.fleet import Fleet, Outcome
from studio9_cli.servers.processes import ProcessEnded, Processes
from studio9_cli.testing.checks import run_checks
from studio9_cli.testing.parts import Part
from studio9_cli.testing.results import Result, from_junit

LANES = len(os.sched_getaffinity(0)) + 1
"""Parts at a time: one more than cores, for each also waits for servers, disks and clocks. What yields to the others is
not counted."""
NICE = 5
"""How far what yields stands back: a third of the share of another process, and all that others leave."""


class Runner:
    """One run of the tests. `limit_s` bounds the parts' own time; waiting for servers to be built is not counted."""

    def __init__(self, *, pytest_options: Sequence[str], limit_s: float, say: Callable[[Result], None]) -> None:
        self._options = list(pytest_options)
        self._deadline = time.monotonic() + limit_s
        self._say = say
        self._processes = Processes()
        self._fleet: Fleet | None = None
        self._scratch = Path()
        self._printing = threading.Lock()

    def run(self, parts: Sequence[Part], *, checks: bool) -> tuple[list[Result], list[Outcome]]:
        """Every part's result, in order, and what became of the servers. Nothing it started outlives it."""
        with ExitStack() as stack:
            self._scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="studio9-test-")))
            self._processes.remove_at_end(self._scratch)
            lanes = stack.enter_context(ThreadPoolExecutor(max_workers=LANES))
            beside = stack.enter_context(ThreadPoolExecutor(max_workers=1))
            # Entered last, so that an interruption ends the servers and parts before the lanes are waited for.
            stack.callback(self._processes.close)
            if any(part.servers for part in parts):
                self._fleet = stack.enter_context(Fleet())
            running = [lanes.submit(self._checks)] if checks else []
            results: list[Result] = []
            for _, turn in groupby(parts, key=lambda part: part.turn):
                running += [(beside if part.yielding else lanes).submit(self._tests, part) for part in turn]
                results += [one.result() for one in running]
                running.clear()
            return results, self._fleet.outcomes() if self._fleet else []

    def _checks(self) -> Result:
        result = run_checks(self._command)
        self._tell(result)
        return result

    def _tests(self, part: Part) -> Result:
        started = time.monotonic()
        try:
            result = self._pytest(part)
        except (ProcessEnded, subprocess.CalledProcessError) as error:
            result = Result(part.name, failed=1, failures=[str(error)], output=str(error))
        result.seconds = time.monotonic() - started
        self._tell(result)
        return result

    def _pytest(self, part: Part) -> Result:
        trainers = part.environment == "trainers"
        if trainers or part.training:
            project.ensure_trainers()
        environment = self._environment(part)
        report, log = self._scratch / f"{part.name}.xml", self._scratch / f"{part.name}.log"
        python = str(project.environment_python(part.environment))
        status = self._wait(
            [
                *(["nice", "-n", str(NICE)] if part.yielding else []),
                python,
                "-P",
                "-m",
                "pytest",
                "-q",
                "--continue-on-collection-errors",
                f"--junitxml={report}",
                *self._options,
                *part.paths,
            ],
            environment,
            log,
        )
        output = log.read_text(encoding="utf-8", errors="replace")
        if status == 5 and not report.exists():
            return Result(part.name)
        if not report.exists():
            why = f"pytest ended with status {status}" if status is not None else "the time limit was reached"
            return Result(part.name, failed=1, failures=[why], output=output)
        result = from_junit(part.name, report)
        result.output = output
        if status not in (0, 5) and not result.failed:
            result.failed += 1
            result.failures.append(f"pytest ended with status {status}")
        return result

    def _environment(self, part: Part) -> Mapping[str, str]:
        environment = dict(os.environ)
        if part.servers and self._fleet:
            waiting = time.monotonic()
            environment |= self._fleet.addresses(*part.servers)
            environment[REASONS] = json.dumps(self._fleet.reasons(*part.servers))
            self._deadline += time.monotonic() - waiting
        if part.training:
            environment[TRAINERS_PYTHON] = str(project.environment_python("trainers"))
        if part.environment == "trainers":
            # Beside another part a second thread would slow the training down many times over.
            environment["OMP_NUM_THREADS"] = "1"
        return environment

    def _command(self, command: Sequence[str]) -> tuple[int, str]:
        log = self._scratch / f"check-{time.monotonic_ns()}.log"
        status = self._wait(command, os.environ, log)
        output = log.read_text(encoding="utf-8", errors="replace")
        return (1, output + "\nthe time limit was reached") if status is None else (status, output)

    def _wait(self, command: Sequence[str], environment: Mapping[str, str], log: Path) -> int | None:
        """Runs a command in the repository; its status, or None when the time limit ended it."""
        process = self._processes.spawn(
            Path(command[0]).name, command, log=log, environment=environment, folder=project.root()
        )
        try:
            return process.popen.wait(max(1.0, self._deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            # The log then says where it was.
            process.popen.send_signal(signal.SIGABRT)
            with suppress(subprocess.TimeoutExpired):
                process.popen.wait(5)
            return None
        finally:
            self._processes.stop(process)

    def _tell(self, result: Result) -> None:
        with self._printing:
            self._say(result)
            sys.stdout.flush()
