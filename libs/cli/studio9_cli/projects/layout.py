"""Where everything lies in an exported project: `projects/project-{id}/{input_images,annotations,models,analysis}`.

These are the folders that the student platform's containers shared; here they are what a project looks like outside of
a platform (docs/decisions/0013). `project.json` says what is in them.
"""

import json
import mimetypes
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from studio9_common.errors import BadInput

FORMAT = 1
"""The format that this build writes, and the only one it reads."""
_SAFE = re.compile(r"[A-Za-z0-9_-]{1,64}")


class NotAProject(BadInput):
    """This folder holds no exported project; give one that `studio9 project export` has made."""


@dataclass(frozen=True, slots=True)
class ProjectFolder:
    """The paths of one exported project."""

    root: Path

    @classmethod
    def of(cls, folder: Path, project: str) -> "ProjectFolder":
        """That of a project below `folder`."""
        return cls(folder / "projects" / f"project-{safe(project)}")

    @property
    def facts(self) -> Path:
        """What the project is: its name, albums, models and experiments."""
        return self.root / "project.json"

    @property
    def models(self) -> Path:
        """A file for each model: what it is and what its figures are."""
        return self.root / "models"

    @property
    def analysis(self) -> Path:
        """A file for each experiment: what was asked for, and its results."""
        return self.root / "analysis"

    def pictures(self, album: str) -> Path:
        """The pictures of an album."""
        return self.root / "input_images" / f"album-{safe(album)}"

    def labels(self, album: str) -> Path:
        """An album's labels, in the form in which they are uploaded."""
        return self.root / "annotations" / f"album-{safe(album)}.csv"

    def make(self) -> None:
        """Makes the four folders."""
        for folder in (self.root / "input_images", self.root / "annotations", self.models, self.analysis):
            folder.mkdir(parents=True, exist_ok=True)

    def read(self) -> dict[str, Any]:
        """The project's facts. Raises NotAProject."""
        try:
            facts = json.loads(self.facts.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            raise NotAProject(field="folder", value=self.root) from None
        if not isinstance(facts, dict) or facts.get("format") != FORMAT:
            raise NotAProject(f"this build reads format {FORMAT} only", field="folder", value=self.root)
        return facts


def safe(identifier: str) -> str:
    """An id that is safe as a part of a path. Raises NotAProject."""
    if _SAFE.fullmatch(identifier) is None:
        raise NotAProject(f"{identifier!r} cannot be an id", field="id", value=identifier)
    return identifier


def suffix_of(media_type: str) -> str:
    """The end of a file's name by its type; empty where none is known."""
    return mimetypes.guess_extension(media_type.partition(";")[0].strip()) or ""


def write_json(path: Path, content: Any) -> None:
    """For people and programs."""
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
