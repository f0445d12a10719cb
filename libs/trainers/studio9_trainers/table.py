"""What every framework can do for which task, as the table of the documentation.

python -m studio9_trainers.table
"""

from collections.abc import Iterable

from studio9_trainers.capabilities import Capabilities
from studio9_trainers.frameworks import frameworks

HEADINGS = (
    "framework",
    "task",
    "train",
    "evaluate",
    "predict",
    "export",
    "resume",
    "processes",
    "loop",
    "licence",
    "notes",
)


def rows() -> list[Capabilities]:
    """One for each framework and task."""
    return [one for framework in frameworks().values() for one in framework.capabilities()]


def table(capabilities: Iterable[Capabilities]) -> str:
    """As Markdown."""
    lines = [_line(HEADINGS), _line("---" for _ in HEADINGS)]
    return "\n".join([*lines, *(_line(_cells(one)) for one in capabilities)]) + "\n"


def _cells(one: Capabilities) -> tuple[str, ...]:
    resume = {"exact": "to the bit, from epochs", "none": "no"}[one.resume]
    if one.resume_inside_epochs:
        resume = "to the bit, also inside epochs"
    return (
        one.framework,
        one.task,
        "in a sandbox" if one.sandbox_only else "yes",
        {"ours": "yes", "framework": "its own figures", "none": "no"}[one.evaluate],
        "yes" if one.predict else "no",
        ", ".join(one.export) or "no",
        resume,
        "several" if one.distributed else "one",
        {"own": "ours", "framework": "its own"}[one.loop],
        one.licence,
        one.note,
    )


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    print(table(rows()), end="")
