"""What a run of the journey shows: steps, bars, notes. Plain lines where there is no terminal."""

from collections.abc import Sequence
from typing import Any, Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table


class Show(Protocol):
    """Where the journey reports to."""

    def step(self, number: int, title: str) -> None: ...
    def bar(self, fraction: float, text: str) -> None: ...
    def note(self, text: str) -> None: ...
    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None: ...
    def end(self) -> None: ...


class Silent:
    """For tests: remembers the notes."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def step(self, number: int, title: str) -> None:
        self.notes.append(f"{number}. {title}")

    def bar(self, fraction: float, text: str) -> None:
        pass

    def note(self, text: str) -> None:
        self.notes.append(text)

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        self.notes.append(f"{title}: {len(rows)} rows")

    def end(self) -> None:
        pass


class Screen:
    """A terminal with one progress bar per step; without a terminal every tenth of a bar is a line."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console()
        columns = (TextColumn("   "), BarColumn(30), TextColumn("{task.percentage:>3.0f} %"), TimeElapsedColumn())
        self._progress = Progress(*columns, TextColumn("{task.description}"), console=self._console)
        self._task: TaskID | None = None
        self._tenth = -1

    def step(self, number: int, title: str) -> None:
        self.end()
        self._console.print(f"[bold]{number}[/bold]  {title}", highlight=False)

    def bar(self, fraction: float, text: str) -> None:
        if not self._console.is_terminal:
            if int(fraction * 10) != self._tenth:
                self._tenth = int(fraction * 10)
                self._console.print(f"    {fraction:4.0%}  {text}", highlight=False, markup=False)
            return
        if self._task is None:
            self._progress.start()
            self._task = self._progress.add_task(text, total=1.0)
        self._progress.update(self._task, completed=fraction, description=text)

    def note(self, text: str) -> None:
        self._console.print(f"    {text}", highlight=False, markup=False)

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        self.end()
        table = Table(title=title, title_justify="left")
        for name in columns:
            table.add_column(name, overflow="fold")
        for row in rows:
            table.add_row(*(_cell(value) for value in row))
        self._console.print(table)

    def end(self) -> None:
        self._tenth = -1
        if self._task is not None:
            self._progress.stop()
            self._progress.remove_task(self._task)
            self._task = None


def _cell(value: Any) -> str:
    return f"{value:.3f}" if isinstance(value, float) else "" if value is None else str(value)
