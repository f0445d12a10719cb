"""Where everything lies in a task's folder."""

from dataclasses import dataclass
from pathlib import Path

MANIFEST = "manifest.jsonl"
PICTURES = "pictures"
"""The input folder that all manifests share: one file a picture, named by its sha256."""
CHILDREN = "children"
"""The input that holds what children have brought, in a folder for each."""
MODEL = "model"
"""The input that holds a model version's weights, as one file `model.pt`."""
CHECKPOINT = "checkpoint"
"""The input that holds the state to go on from."""
CODE = "code"
"""The input that holds a trainer of the user's own: their package, as files or as one archive."""


@dataclass(frozen=True)
class TaskFolder:
    """The paths of one task's folder (`/job` in a container).

    The task sees request, inputs (read-only), outputs, events and scratch. The folder `shim/` belongs to
    the shim and the worker's agent; a container does not mount it.
    """

    root: Path

    @property
    def request(self) -> Path:
        """What to do."""
        return self.root / "request.json"

    @property
    def inputs(self) -> Path:
        """Staged by the worker, read-only for the task."""
        return self.root / "inputs"

    @property
    def outputs(self) -> Path:
        """Finished files, each announced in the events."""
        return self.root / "outputs"

    @property
    def events(self) -> Path:
        """What the task tells, one JSON object a line."""
        return self.root / "events.jsonl"

    @property
    def scratch(self) -> Path:
        """The task's own working space: home, caches, temporary files. Nothing here outlives the attempt."""
        return self.root / "scratch"

    @property
    def shim(self) -> Path:
        """What shim and agent share."""
        return self.root / "shim"

    @property
    def lock(self) -> Path:
        """Locked (flock) by the shim while it lives; its content says when it began."""
        return self.shim / "lock"

    @property
    def exit(self) -> Path:
        """How the task ended; written once, as a whole, by the shim."""
        return self.shim / "exit.json"

    @property
    def lease(self) -> Path:
        """Touched by the agent; each change is a renewal."""
        return self.shim / "lease"

    @property
    def stop(self) -> Path:
        """Made by the agent (or anyone) to end the task."""
        return self.shim / "stop"

    @property
    def log(self) -> Path:
        """The task's standard output and error, up to a limit."""
        return self.shim / "task.log"

    def input(self, name: str) -> Path:
        """The folder of one input."""
        return self.inputs / name

    def manifest(self, name: str) -> Path:
        """The picture manifest of one input."""
        return self.input(name) / MANIFEST

    def picture(self, sha256: str) -> Path:
        """The bytes of one picture."""
        return self.inputs / PICTURES / sha256

    @property
    def model(self) -> Path:
        """The staged model version."""
        return self.input(MODEL) / "model.pt"

    def child(self, name: str) -> Path:
        """What a child has brought."""
        return self.input(CHILDREN) / name

    def make(self) -> None:
        """Make the folders (not the files)."""
        for folder in (self.inputs, self.inputs / PICTURES, self.outputs, self.scratch, self.shim):
            folder.mkdir(parents=True, exist_ok=True)
