"""The trainers' environment of this machine inside a container: read-only, where the image need not hold it.

With PyTorch it is some 7 GB: a mount costs nothing, an image of it minutes and the disk twice. The container's image
then needs no more than a C library that is at least as new as this machine's.
"""

import json
import subprocess
from pathlib import Path

from studio9_common.errors import BadInput
from studio9_worker.runners.sealing import Program

THERE = "/opt/studio9"
ASK_S = 60.0
QUESTION = """
import json, os, sys
base = sys.base_prefix
program = os.path.relpath(os.path.realpath(sys.executable), base)
paths = [path for path in sys.path if os.path.isdir(path) and not path.startswith(base + os.sep)]
print(json.dumps({"base": base, "program": program, "paths": paths}))
"""


def mounted_program(python: Path, command: tuple[str, ...] = ("-m", "studio9_trainers.task")) -> Program:
    """The program that runs `command` with this environment's interpreter, in any image. Blocks. Raises BadInput."""
    try:
        asked = subprocess.run(
            [python, "-I", "-c", QUESTION],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=ASK_S,
            check=True,
        )
        told = json.loads(asked.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise BadInput(f"The trainers' environment does not answer: {error}", field="trainers_python") from None
    base = f"{THERE}/python"
    paths = {Path(path): f"{THERE}/path/{number}" for number, path in enumerate(told["paths"])}
    interpreter = f"{base}/{told['program']}"
    return Program(
        python=interpreter,
        command=(interpreter, *command),
        mounts={Path(told["base"]): base, **paths},
        environment={"LD_LIBRARY_PATH": f"{base}/lib", "PYTHONPATH": ":".join(paths.values())},
    )
