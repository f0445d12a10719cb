"""The images of benches, made in the bench's own engine from its base image; BuildKit is not needed."""

import io
import json
import subprocess
import tarfile
from pathlib import Path

import docker

from studio9_cli import project
from studio9_common.errors import Studio9Error

ASK_S = 300.0
FIRST_LINE = 'date +"line-at %s.%N"'
"""Prints the moment at which it runs, by the machine's clock."""
TASK = f"""#!/bin/sh
if [ "$1" = --catalogue ]; then exec cat /opt/catalogue.json; fi
{FIRST_LINE}
exit 64
"""
"""Tells when it began, and ends as a task does that does not like its input."""


def telling_image(url: str, base: str, catalogue: bytes) -> str:
    """The id of an image whose task prints the moment of its first line; it has the shim in it. Blocks."""
    recipe = (
        f"FROM {base}\n"
        "COPY studio9_task/ /usr/lib/python3/dist-packages/studio9_task/\n"
        "COPY studio9-task /usr/bin/studio9-task\n"
        "COPY catalogue.json /opt/catalogue.json\n"
    )
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as archive:
        _add(archive, "Dockerfile", recipe.encode())
        _add(archive, "studio9-task", TASK.encode(), mode=0o755)
        _add(archive, "catalogue.json", catalogue)
        package = project.root() / "libs" / "task" / "studio9_task"
        for path in sorted(package.glob("*.py")):
            _add(archive, f"studio9_task/{path.name}", path.read_bytes())
    context.seek(0)
    client = docker.APIClient(base_url=url, version="auto", timeout=ASK_S)
    try:
        for line in client.build(fileobj=context, custom_context=True, rm=True, forcerm=True, decode=True):
            if "error" in line:
                raise Studio9Error(f"the bench's image cannot be built: {line['error']}")
            if "ID" in (line.get("aux") or {}):
                return str(line["aux"]["ID"])
    finally:
        client.close()
    raise Studio9Error("the engine told no id of the bench's image")


def catalogue_of(trainers_python: Path) -> bytes:
    """What the trainers' environment says that it can do. Blocks."""
    asked = subprocess.run(
        [trainers_python, "-P", "-m", "studio9_trainers.task", "--catalogue"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=ASK_S,
        check=True,
    )
    json.loads(asked.stdout)
    return asked.stdout


def _add(archive: tarfile.TarFile, name: str, content: bytes, mode: int = 0o644) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), mode
    archive.addfile(entry, io.BytesIO(content))
