"""Progress and results for people, in a terminal or a log."""

import sys
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from studio9_task.events import Failed, Log, Metric, Warned
from studio9_task.events import Progress as ProgressEvent
from studio9_task.results import Evaluation
from studio9_task.tail import BadEvent, EventReader

EVERY_S = 0.3
BAR = 24
SHOWN = ("map50", "map50_95", "accuracy", "box_loss", "cls_loss", "loss")


class Progress:
    """Tells on standard error what a task writes to its events, until the block ends."""

    def __init__(self, events: Path) -> None:
        self._reader = EventReader(events)
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._live = sys.stderr.isatty()
        self._drawn = False
        self._metrics: dict[str, float] = {}
        self._epoch = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._end.set()
        self._thread.join()

    def _follow(self) -> None:
        while not self._end.wait(EVERY_S):
            self._tell()
        self._tell()
        if self._drawn:
            print(file=sys.stderr)

    def _tell(self) -> None:
        for event in self._reader.read(100_000):
            match event:
                case Warned() | Failed():
                    self._line(f"studio9: {event.message}")
                case Log(level="warning" | "error"):
                    self._line(f"studio9: {event.message}")
                case Metric(key=key, value=value) if key in SHOWN:
                    self._metrics[key] = value
                case ProgressEvent():
                    self._progress(event)
                case BadEvent() | _:
                    pass

    def _progress(self, event: ProgressEvent) -> None:
        words = [f"{event.value:4.0%}"]
        if event.epochs:
            words.append(f"epoch {event.epoch}/{event.epochs}")
        words += [f"{key} {value:.3g}" for key, value in self._metrics.items()]
        if event.remaining_s:
            words.append(f"{event.remaining_s:.0f} s left")
        if self._live:
            done = round(BAR * event.value)
            print(f"\r\x1b[K[{'█' * done}{'·' * (BAR - done)}] {'  '.join(words)}", end="", file=sys.stderr, flush=True)
            self._drawn = True
        elif (event.epoch or 0) > self._epoch:
            self._epoch = event.epoch or 0
            self._line("  ".join(words))

    def _line(self, text: str) -> None:
        if self._drawn:
            print("\r\x1b[K", end="", file=sys.stderr)
        print(text, file=sys.stderr, flush=True)


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table."""
    texts = [list(columns), *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(row[at]) for row in texts) for at in range(len(columns))]
    for row in texts:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def figures(evaluations: Iterable[Evaluation | None]) -> None:
    """Print figures of several data sets."""
    known = [one for one in evaluations if one is not None]
    names = [
        name
        for name in ("map50", "map50_95", "precision_at_025", "recall_at_025", "accuracy", "reconstruction_loss")
        if any(getattr(one, name) is not None for one in known)
    ]
    rows = [[one.input, one.pictures, *(_number(getattr(one, name)) for name in names)] for one in known]
    table(["data", "pictures", *names], rows)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"
