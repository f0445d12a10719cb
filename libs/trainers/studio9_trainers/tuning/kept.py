"""What a search that runs as a job goes on from: its study, and the winner's best model once there is one, with its
result.

One file holds all, so that no run finds the one without the others.
"""

import shutil
import zipfile
from pathlib import Path

from studio9_task.outputs import Written, new_file
from studio9_trainers.errors import BadInput
from studio9_trainers.tuning.study import Study

STUDY, MODEL, RESULT = "study.json", "model.pt", "result.json"


def keep(study: Path, model: Path, into: Path) -> Written:
    """Write them as one zip file, uncompressed; the same files make the same bytes. The result is beside the model."""
    with new_file(into) as new, zipfile.ZipFile(new.path, "w") as packed:
        for name, path in ((STUDY, study), (MODEL, model), (RESULT, model.with_name(RESULT))):
            with path.open("rb") as source, packed.open(zipfile.ZipInfo(name), "w", force_zip64=True) as target:
                shutil.copyfileobj(source, target)
    return new.written


def kept(checkpoint: Path, scratch: Path) -> tuple[Study, Path | None]:
    """The study, and the model where there is one (a file in `scratch`, its result beside it), of such a file or of a
    study's alone.

    Raises BadInput when it is neither.
    """
    if not zipfile.is_zipfile(checkpoint):
        return Study.load(checkpoint), None
    folder = scratch / "kept"
    try:
        with zipfile.ZipFile(checkpoint) as packed:
            for name in (STUDY, MODEL):
                packed.extract(name, folder)
            if RESULT in packed.namelist():
                packed.extract(RESULT, folder)
            else:  # an earlier release kept none
                (folder / RESULT).write_text("{}")
    except (zipfile.BadZipFile, KeyError) as error:
        raise BadInput(f"{checkpoint.name} is no study ({type(error).__name__}): begin a new one.") from None
    return Study.load(folder / STUDY), folder / MODEL
