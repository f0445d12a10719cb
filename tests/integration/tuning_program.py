"""A search for real whose trainings are stand-ins: run by the trainers' Python from a folder that all tasks share.

The first trial dies in its first two attempts, so its job fails for no fault of its settings; the parent dies once,
when it has told its study of children and has written it. While there is a file `hold`, trials wait; a file
`catalogue.json` is what it can do.
"""

import json
import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

from studio9_task.layout import TaskFolder
from studio9_task.outputs import write_bytes
from studio9_task.report import EventWriter
from studio9_task.request import TaskRequest, read_request

CATALOGUE = '{"schema": 1, "version": "test", "tasks": [{"kind": "tune", "framework": "studio9"}]}'
SHARED = Path(__file__).parent


def die_once(name: str) -> None:
    """The first task that claims a name crashes. SIGKILL would be read as too little memory: its settings' fault."""
    try:
        (SHARED / name).mkdir()
    except FileExistsError:
        return
    os.kill(os.getpid(), signal.SIGABRT)


def trial(folder: TaskFolder, request: TaskRequest) -> int:
    """Better the nearer the rate is to 0.01, and with every epoch; says what it went on from."""
    train, epochs = request.parameters["train"], request.parameters["epochs"]
    rate = train["rates"]["head"]
    own = write_bytes(folder.scratch / "rate", str(rate).encode()).path
    with suppress(FileExistsError):
        os.link(own, SHARED / "first")
    while (SHARED / "hold").exists():
        time.sleep(0.05)
    if (SHARED / "first").read_text() == str(rate):
        die_once("trial-1")
        die_once("trial-2")
    state = folder.input("state") / "state.pt"
    fitness = (1 - 5 * abs(rate - 0.01)) * epochs + train["head_parameters"]["seed"] * 1e-6
    facts = {"fitness": fitness, "epochs_done": epochs, "before": state.read_text() if state.is_file() else ""}
    labels = {"labels": ["ship"]}
    with EventWriter(folder.events, folder.outputs) as events:
        for name, path, content in (
            ("result", "result.json", json.dumps(facts | labels)),
            ("state", "state.pt", f"{rate} after {epochs}"),
            ("model", "model.pt", f"model of {train['head_parameters']['seed']}"),
        ):
            events.artifact(name, write_bytes(folder.outputs / path, content.encode()))
        events.result({"kind": "trial", **facts})
    return 0


def main(folder: TaskFolder) -> int:
    """A trial, or the real search."""
    request = read_request(folder.request)
    if request.kind == "trial":
        return trial(folder, request)
    from studio9_trainers.task import run_task  # needs the trainers' environment

    code = run_task(folder)
    if request.children:
        die_once("parent")
    return code


if __name__ == "__main__":
    if sys.argv[1] == "--catalogue":
        given = SHARED / "catalogue.json"
        print(given.read_text() if given.is_file() else CATALOGUE)
        sys.exit(0)
    sys.exit(main(TaskFolder(Path(sys.argv[1]).resolve())))
