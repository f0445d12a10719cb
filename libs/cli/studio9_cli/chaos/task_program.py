"""The task of chaos runs: epochs with a checkpoint each. `task_program.py EFFECTS FOLDER`; standard library only, so
that hundreds of them cost little. What it does is written, a line at a time, to the file EFFECTS, which nobody in the
platform knows: the checker counts by it.
"""

import hashlib
import json
import os
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

EXIT_USER, EXIT_STOPPED = 64, 75
"""studio9_task.exits"""
CATALOGUE = {"schema": 1, "version": "chaos", "tasks": [{"kind": "train", "framework": "yolo"}]}


class Task:
    """One attempt. Parameters: `epochs`, `epoch_s` (seconds of each), `ending` (ok, user_error, stubborn)."""

    def __init__(self, effects: Path, folder: Path) -> None:
        self._effects, self._folder = effects, folder
        self._request = json.loads((folder / "request.json").read_text())
        self._sequence = 0

    def run(self) -> int:
        """The exit status."""
        given = self._request["parameters"]
        signal.signal(signal.SIGTERM, signal.SIG_IGN if given["ending"] == "stubborn" else self._stopped)
        resume = self._request.get("resume")
        done = int((self._folder / resume["checkpoint"]).read_text()) if resume else 0
        self._note("began", done)
        epochs = int(given["epochs"])
        for epoch in range(done + 1, epochs + 1):
            self._tell("progress", value=epoch / epochs, epoch=epoch, epochs=epochs)
            time.sleep(given["epoch_s"])
            self._tell("metric", key="loss", value=1.0 / epoch, step=epoch, split="train")
            self._tell("checkpoint", epoch=epoch, step=0, **self._file(f"checkpoint-{epoch}.txt", str(epoch)))
        if given["ending"] == "user_error":
            self._tell("error", **{"class": "user"}, code="empty_album", message="The album is empty: add pictures.")
            return EXIT_USER
        self._tell("artifact", name="model", **self._file("model.pt", self._request["job"]))
        self._tell("result", summary={"resumed_from": done})
        self._note("ended", epochs)
        return 0

    def _stopped(self, *_: Any) -> None:
        self._note("stopped", 0)
        sys.exit(EXIT_STOPPED)

    def _note(self, what: str, epoch: int) -> None:
        job, _, fence = self._folder.name.rpartition(".")
        worker = self._folder.parents[1].name
        line = {"what": what, "job": job, "fence": int(fence), "worker": worker, "epoch": epoch, "at": time.time()}
        _append(self._effects, line)

    def _tell(self, kind: str, **fields: Any) -> None:
        self._sequence += 1
        now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        _append(self._folder / "events.jsonl", {"type": kind, "time": now, "sequence": self._sequence, **fields})

    def _file(self, name: str, content: str) -> dict[str, Any]:
        path, data = self._folder / "outputs" / name, content.encode()
        with path.with_suffix(".part").open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        path.with_suffix(".part").rename(path)
        return {"path": name, "sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}


def _append(path: Path, line: dict[str, Any]) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(handle, json.dumps(line).encode() + b"\n")
    finally:
        os.close(handle)


if __name__ == "__main__":
    if sys.argv[2] == "--catalogue":
        print(json.dumps(CATALOGUE))
        sys.exit(0)
    sys.exit(Task(Path(sys.argv[1]), Path(sys.argv[2])).run())
