"""Image folders: a folder a label, `<split>/<label>/` or just `<label>/`. One tag a picture."""

from pathlib import Path
from typing import cast

from studio9_task.pictures import Split
from studio9_task.shapes import Tag
from studio9_trainers.data.class_map import ClassMap
from studio9_trainers.data.collection import Collection, Sample, found, lost, picture_files
from studio9_trainers.data.findings import Finding
from studio9_trainers.data.formats.placing import Names, place
from studio9_trainers.errors import BadInput

SPLITS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
UNLABELLED = "_unlabelled"
"""The folder of pictures without a label."""


def read_folders(root: Path) -> Collection:
    """All pictures below `root`. Raises BadInput where there is none in a label's folder."""
    files = picture_files(root)
    split = any(path.relative_to(root).parts[0] in SPLITS and len(path.relative_to(root).parts) > 2 for path in files)
    findings: list[Finding] = []
    samples = []
    for path in files:
        parts = path.relative_to(root).parts
        which = SPLITS.get(parts[0], "none") if split else "none"
        inner = parts[1:] if split and parts[0] in SPLITS else parts
        if len(inner) < 2:
            name = path.relative_to(root).as_posix()
            findings.append(
                Finding("warning", "no_label", "the picture is in no label's folder", "move it to one", file=name)
            )
            continue
        sample = found(path, inner[-1], findings, cast(Split, which))
        if sample is not None:
            tags = () if inner[0] == UNLABELLED else (Tag(label=inner[0]),)
            samples.append(Sample(path, sample.record.model_copy(update={"annotations": tags})))
    if not samples and not findings:
        raise BadInput(f"{root.name} has no pictures: give a folder with one folder a label.")
    labels = {shape.label for sample in samples for shape in sample.record.annotations}
    return Collection(tuple(samples), ClassMap.of(labels), tuple(findings))


def write_folders(collection: Collection, root: Path) -> tuple[Finding, ...]:
    """Copy each picture to its first tag's folder. Raises BadInput for a label that can't name a folder."""
    names = Names()
    findings = []
    split = any(sample.record.split != "none" for sample in collection.samples)
    for sample in collection.samples:
        tags = sample.record.tags
        if len(tags) != 1 or len(sample.record.annotations) != 1:
            findings.append(lost(sample, "other than exactly one tag", "An image folder"))
        label = tags[0].label if tags else UNLABELLED
        if Path(label).name != label or label in (".", "..") or "\0" in label:
            raise BadInput(f"label = {label!r}: it can't name a folder; rename it or use another format.")
        which = sample.record.split if sample.record.split != "none" else "train"
        place(sample, (root / which if split else root) / label / names.file(sample))
    return tuple(findings)
