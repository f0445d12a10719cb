"""The task that these tests run for real, in place of a training: it does what the parameter `do` names."""

import os
import signal
import sys
import time
from pathlib import Path

from studio9_task.exits import EXIT_STOPPED, EXIT_USER
from studio9_task.layout import TaskFolder
from studio9_task.lines import write_lines
from studio9_task.outputs import write_bytes
from studio9_task.pictures import read_manifest
from studio9_task.report import EventWriter
from studio9_task.request import read_request
from studio9_task.results import PredictedBox, PredictedPicture

CATALOGUE = '{"schema": 1, "version": "test", "tasks": [{"kind": "train", "framework": "yolo", "description": null}]}'


class Task:
    """One run: the folder, its request and its events."""

    def __init__(self, root: Path) -> None:
        self.folder = TaskFolder(root)
        self.request = read_request(self.folder.request)
        self.events = EventWriter(self.folder.events, self.folder.outputs)

    def nothing(self) -> int:
        """Succeeds at once."""
        self.events.result({})
        return 0

    def train(self) -> int:
        """Epochs with a metric and a checkpoint each. With `wait`, the last one begins when the file `go` is there."""
        done = 0
        if self.request.resume is not None:
            done = int((self.folder.root / self.request.resume.checkpoint).read_text())
        epochs = int(self.request.parameters.get("epochs", 3))
        pictures = sum(1 for _ in read_manifest(self.folder.manifest("train"))) if self.request.inputs else 0
        for epoch in range(done + 1, epochs + 1):
            if epoch == epochs and self.request.parameters.get("wait") and not self.request.resume:
                self._wait_for("go")
            self.events.progress(epoch / epochs, remaining_s=float(epochs - epoch), epoch=epoch, epochs=epochs)
            self.events.metric("loss", 1.0 / epoch, step=epoch, split="train")
            written = write_bytes(self.folder.outputs / "checkpoint.txt", str(epoch).encode())
            self.events.checkpoint(written, epoch=epoch)
        self.events.artifact("model", write_bytes(self.folder.outputs / "model.pt", b"weights"))
        self.events.result({"resumed_from": done, "pictures": pictures})
        return 0

    def predict(self) -> int:
        """One box per letter of a picture's file name before the dot."""
        lines = []
        for picture in read_manifest(self.folder.manifest("predict")):
            boxes = tuple(
                PredictedBox(label=letter, confidence=1 - n / 10, left=n, top=2, width=3, height=4.5, index=n)
                for n, letter in enumerate(picture.filename.partition(".")[0])
            )
            lines.append(
                PredictedPicture(
                    picture_id=picture.picture_id,
                    input="predict",
                    sha256=picture.sha256,
                    width=8,
                    height=8,
                    boxes=boxes,
                )
            )
        written, _ = write_lines(self.folder.outputs / "predictions.jsonl", lines)
        self.events.artifact("predictions", written, "application/jsonl")
        self.events.result({"kind": "predict"})
        return 0

    def files(self) -> int:
        """Tells what was staged, and what its environment holds."""
        inputs = self.folder.inputs
        found = {one.relative_to(inputs).as_posix(): one.read_text() for one in inputs.rglob("*") if one.is_file()}
        self.events.result({"files": found, "names": self.request.inputs, "environment": dict(os.environ)})
        return 0

    def user_error(self) -> int:
        self.events.failed("user", "empty_album", "The album has no pictures: add some.")
        return EXIT_USER

    def until_stopped(self) -> int:
        """Ends on SIGTERM as a task should, with a checkpoint."""
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(EXIT_STOPPED))
        self.events.checkpoint(write_bytes(self.folder.outputs / "checkpoint.txt", b"7"), epoch=7)
        self.events.progress(0.5)
        time.sleep(120)
        return 0

    def stubborn(self) -> int:
        """Does not listen to SIGTERM."""
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        self.events.progress(0.1)
        time.sleep(120)
        return 0

    def _wait_for(self, name: str) -> None:
        while not (self.folder.root / name).exists():
            time.sleep(0.02)


if __name__ == "__main__":
    if sys.argv[1] == "--catalogue":
        print(CATALOGUE)
        sys.exit(0)
    task = Task(Path(sys.argv[1]))
    sys.exit(getattr(task, str(task.request.parameters["do"]))())
