"""Where a written picture goes."""

import shutil
from pathlib import Path

from studio9_trainers.data.collection import ENDINGS, Sample


class Names:
    """Gives each picture a file name of its own: the user's, made safe, with a part of its hash where that is taken."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def file(self, sample: Sample) -> str:
        """A plain file name with an ending; no two have the same stem."""
        given = Path(Path(sample.record.filename.replace("\\", "/")).name)
        ending = given.suffix if given.suffix.lower() in ENDINGS else sample.path.suffix or ".png"
        plain = given.stem if given.suffix.lower() in ENDINGS else given.name
        stem = "".join(sign if sign.isprintable() and sign not in ':*?"<>|' else "_" for sign in plain).strip(". ")
        stem = stem or sample.record.sha256[:16]
        name, number = stem, 0
        while name.lower() in self._taken:
            number += 1
            name = f"{stem}-{sample.record.sha256[:8]}-{number}"
        self._taken.add(name.lower())
        return f"{name}{ending}"


def place(sample: Sample, path: Path) -> None:
    """Copy the picture's bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(sample.path, path)


def number(value: float) -> str:
    """A coordinate as text: whole numbers plain, others to a billionth."""
    return f"{value:.9f}".rstrip("0").rstrip(".")
