"""From the pictures that were given to those that are fitted to: judged, and with copies where that was asked for."""

from collections.abc import Iterable, Sequence
from itertools import islice

from studio9_task.lines import write_lines
from studio9_task.results import StepCount
from studio9_trainers.augmentation.album import is_jpeg
from studio9_trainers.augmentation.training import bloat
from studio9_trainers.config import TrainingConfig
from studio9_trainers.data.dataset import PictureSet
from studio9_trainers.data.findings import Finding, raise_errors
from studio9_trainers.data.judging import judge
from studio9_trainers.data.leaks import leaks
from studio9_trainers.run import Run

SAMPLE = 100
"""Most copies that are announced as a sample."""


def check(run: Run, sets: Sequence[PictureSet], labels: Iterable[str] = ()) -> None:
    """Judge the first set, and that no set shares pictures with another. Raises BadInput for errors, tells the rest."""
    tell(run, [*judge(sets[0], labels), *leaks(sets)])


def tell(run: Run, findings: Sequence[Finding]) -> None:
    """Raise BadInput where one is an error; warn of warnings, log notes."""
    raise_errors(findings)
    for finding in findings:
        if finding.level == "warning":
            run.warn(finding.code, str(finding))
        else:
            run.events.log(str(finding))


def bloated(run: Run, config: TrainingConfig, fitted: PictureSet) -> tuple[PictureSet, tuple[StepCount, ...]]:
    """The pictures with their copies as the settings ask, and how many came of each step.

    A later attempt makes the same copies again. A sample is announced with `augmented.jsonl` where it was asked for.
    """
    wanted = config.augmentation
    if wanted is None:
        return fitted, ()
    folder = (run.folder.outputs if wanted.prepare_sample else run.folder.scratch) / "pictures"
    with run.timed("augmentation"):
        larger, done = bloat(fitted, wanted.augmentations, wanted.bloat_factor, config.seed, folder, run.stop.check)
    if wanted.prepare_sample:
        sample = list(islice(done.made, SAMPLE))
        written, _ = write_lines(run.folder.outputs / "augmented.jsonl", (record for record, _ in sample))
        run.events.artifact("augmented", written, "application/jsonl")
        for _, file in sample:
            run.events.artifact("picture", file, "image/jpeg" if is_jpeg(file.path) else "image/png")
    counts = zip(wanted.augmentations, done.counts, strict=True)
    return larger, tuple(StepCount(augmentation=step, count=count) for step, count in counts)
