"""The task that the worker's tests run for real: it does what the request's parameter `do` names."""

import json
import os
import signal
import sys
import time
from pathlib import Path

from studio9_task.exits import EXIT_STOPPED, EXIT_SYSTEM, EXIT_USER
from studio9_task.layout import TaskFolder
from studio9_task.lines import write_lines
from studio9_task.outputs import Written, write_bytes
from studio9_task.pictures import read_manifest
from studio9_task.report import EventWriter
from studio9_task.request import TaskRequest, read_request
from studio9_task.results import PredictedBox, PredictedPicture


class Task:
    """One run: the folder, its request and its events."""

    def __init__(self, root: Path) -> None:
        self.folder = TaskFolder(root)
        self.request: TaskRequest = read_request(self.folder.request)
        self.parameters = self.request.parameters
        self.events = EventWriter(self.folder.events, self.folder.outputs)

    def succeed(self) -> int:
        """Says hello with what it found in its environment."""
        print("hello from the task")
        seen = {"environment": dict(os.environ), "threads": self.request.threads}
        self._artifact("result", "result.json", b"{}")
        self.events.progress(1.0)
        self.events.result({"kind": "test", **seen})
        return 0

    def inputs(self) -> int:
        """Tells what was staged."""
        found = sorted(path.relative_to(self.folder.inputs).as_posix() for path in self.folder.inputs.rglob("*.*"))
        pictures = sorted(path.name for path in (self.folder.inputs / "pictures").iterdir())
        content = {name: (self.folder.inputs / name).read_text()[:100] for name in found if not name.endswith("jsonl")}
        self.events.result({"files": found, "pictures": pictures, "content": content, "names": self.request.inputs})
        return 0

    def train(self) -> int:
        """Epochs with a metric and a checkpoint each; waits for the file `go` in its folder before the last."""
        done = 0
        if self.request.resume is not None:
            done = int((self.folder.root / self.request.resume.checkpoint).read_text())
        epochs = int(self.parameters.get("epochs", 3))
        for epoch in range(done + 1, epochs + 1):
            if epoch == epochs and self.parameters.get("wait"):
                self.wait_for("go")
            time.sleep(float(self.parameters.get("pause", 0)))
            self.events.progress(epoch / epochs, remaining_s=float(epochs - epoch), epoch=epoch, epochs=epochs)
            self.events.metric("loss", 1.0 / epoch, step=epoch, split="train")
            self.events.metric("map50", epoch / epochs, step=epoch, split="val")
            written = write_bytes(self.folder.outputs / "checkpoint.txt", str(epoch).encode())
            self.events.checkpoint(written, epoch=epoch)
        self._artifact("model", "model.pt", b"weights")
        self.events.result({"resumed_from": done})
        return 0

    def predict(self) -> int:
        """One box per letter of a picture's file name before the dot, falling confidence; labels with traps in them."""
        lines = []
        for picture in read_manifest(self.folder.manifest("predict")):
            boxes = tuple(
                PredictedBox(
                    label=f'a "{letter}", really', confidence=1 - index / 10, left=index, top=2, width=3, height=4.5,
                    index=index,
                )
                for index, letter in enumerate(picture.filename.partition(".")[0])
            )  # fmt: skip
            lines.append(
                PredictedPicture(
                    picture_id=picture.picture_id, input="predict", sha256=picture.sha256, width=10, height=10,
                    boxes=boxes,
                )
            )  # fmt: skip
        written, _ = write_lines(self.folder.outputs / "predictions.jsonl", lines)
        self.events.artifact("predictions", written, "application/jsonl")
        self.events.result({"kind": "predict"})
        return 0

    def user_error(self) -> int:
        self.events.failed("user", "empty_album", "The album has no pictures: add some.")
        return EXIT_USER

    def system_error(self) -> int:
        self.events.failed("system", "system_error", "ZeroDivisionError: division by zero")
        return EXIT_SYSTEM

    def crash(self) -> int:
        print("about to crash", flush=True)
        os.kill(os.getpid(), signal.SIGSEGV)
        return 0

    def exit_three(self) -> int:
        print("\x1b[31mred\x1b[0m words", flush=True)
        return 3

    def no_result(self) -> int:
        return 0

    def sleep(self) -> int:
        """Ends on SIGTERM as a task should."""
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(EXIT_STOPPED))
        written = write_bytes(self.folder.outputs / "checkpoint.txt", b"7")
        self.events.checkpoint(written, epoch=7)
        self.events.progress(0.5)
        time.sleep(60)
        return 0

    def stubborn(self) -> int:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        self.events.progress(0.1)
        time.sleep(60)
        return 0

    def link(self) -> int:
        (self.folder.outputs / "secret").symlink_to("/etc/hostname")
        size = Path("/etc/hostname").stat().st_size
        self.events.artifact("result", Written(self.folder.outputs / "secret", size, "0" * 64))
        self.events.result({})
        return 0

    def missing(self) -> int:
        self.events.artifact("result", Written(self.folder.outputs / "nothing.json", 3, "0" * 64))
        self.events.result({})
        return 0

    def wrong_hash(self) -> int:
        written = write_bytes(self.folder.outputs / "result.json", b"abc")
        self.events.artifact("result", Written(written.path, 3, "0" * 64))
        self.events.result({})
        return 0

    def broken_events(self) -> int:
        with self.folder.events.open("ab") as file:
            file.write(b'{"type": "progress", "value": 7}\nnot json\n')
        self.events.result({"job": "another"})
        with self.folder.events.open("ab") as file:
            file.write(b'{"half a line')
        return 0

    def chatter(self) -> int:
        """More events than fit into one message."""
        for number in range(int(self.parameters["lines"])):
            self.events.log(f"{number} " + "x" * 500)
        self.events.result({})
        return 0

    def ask(self) -> int:
        """Asks for children, and tells what those of its last run have brought."""
        brought = {
            path.relative_to(self.folder.inputs).as_posix(): path.read_text()
            for path in sorted((self.folder.inputs / "children").rglob("*.*"))
        }
        written = write_bytes(self.folder.outputs / "study.json", b"study")
        self.events.checkpoint(written, epoch=len(self.request.children))
        asked = self.parameters.get("asked")
        print(self.parameters.get("printed", ""), flush=True)
        if asked is not None:
            self._artifact("children", "children.json", json.dumps({"children": asked}).encode())
        children = [one.model_dump() for one in self.request.children]
        self.events.result({"brought": brought, "children": children, "names": self.request.inputs})
        return 0

    def wait_for(self, name: str) -> None:
        """Until a file is there."""
        while not (self.folder.root / name).exists():
            time.sleep(0.02)

    def _artifact(self, name: str, path: str, content: bytes) -> None:
        self.events.artifact(name, write_bytes(self.folder.outputs / path, content))


if __name__ == "__main__":
    if sys.argv[1] == "--catalogue":
        print(
            '{"schema": 1, "version": "test", "tasks": [{"kind": "train", "framework": "yolo", "description": null}]}'
        )
        sys.exit(0)
    task = Task(Path(sys.argv[1]))
    sys.exit(getattr(task, task.parameters["do"])())
