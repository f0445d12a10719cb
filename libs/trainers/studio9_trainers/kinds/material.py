"""What a task was given, told so that the run can be repeated."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from studio9_task.layout import TaskFolder
from studio9_task.pictures import read_manifest
from studio9_trainers.capabilities import Task
from studio9_trainers.imports import importing


def task_of(model: Path) -> Task:
    """What a model file is for. Raises BadModel where it is none."""
    with importing():
        from studio9_trainers.files import read_model  # needs torch

    return read_model(model).task


def described(folder: TaskFolder, inputs: Iterable[str]) -> dict[str, Any]:
    """Each input's manifest by its hash, how many pictures it names, and the label revisions as one hash."""
    told: dict[str, Any] = {}
    for name in inputs:
        path = folder.manifest(name)
        if path.is_file():
            revisions = hashlib.sha256()
            pictures = 0
            for record in read_manifest(path):
                pictures += 1
                revisions.update(f"{record.picture_id} {record.sha256} {record.label_revision}\n".encode())
            told[name] = {
                "manifest_sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
                "pictures": pictures,
                "label_revisions_sha256": revisions.hexdigest(),
            }
        elif (folder.input(name) / "model.pt").is_file():
            content = (folder.input(name) / "model.pt").read_bytes()
            told[name] = {"sha256": hashlib.sha256(content).hexdigest()}
    return told
