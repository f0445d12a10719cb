"""What is wrong or odd about given data: where, what, and how to mend it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from studio9_trainers.errors import BadInput

Level = Literal["error", "warning", "note"]


@dataclass(frozen=True)
class Finding:
    """An error stops the work, a warning spoils its result, a note is worth knowing. `line` counts from 1."""

    level: Level
    code: str
    message: str
    fix: str
    file: str | None = None
    line: int | None = None
    field: str | None = None

    def __str__(self) -> str:
        place = [
            *([self.file] if self.file else []),
            *([f"line {self.line}"] if self.line else []),
            *([self.field] if self.field else []),
        ]
        where = f"{', '.join(place)}: " if place else ""
        return f"{where}{self.message}: {self.fix}."


def errors(findings: Iterable[Finding]) -> list[Finding]:
    """Those that stop the work."""
    return [finding for finding in findings if finding.level == "error"]


def raise_errors(findings: Iterable[Finding]) -> None:
    """Raise BadInput, naming the first few, if any finding is an error."""
    if found := errors(findings):
        raise BadInput.of([str(finding) for finding in found])
