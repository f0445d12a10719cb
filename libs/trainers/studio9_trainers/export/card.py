"""The model card: what a model is, what it was made from and how well it does; as text for people."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from studio9_task.outputs import Written, write_bytes
from studio9_task.results import Evaluation, ExportedFormat
from studio9_trainers.export.exportable import Exportable
from studio9_trainers.files import ModelFile


@dataclass(frozen=True)
class Provenance:
    """What is known of a model beside its file. `parents`: ids or hashes of the models and data sets it came from."""

    name: str = "model"
    licence: str = "not stated"
    parents: Sequence[str] = ()
    figures: Sequence[Evaluation] = ()
    effective: Mapping[str, object] = field(default_factory=dict)


def write_card(
    path: Path,
    model: ModelFile,
    known: Provenance,
    sha256: str,
    formats: Sequence[ExportedFormat],
    taken: Exportable | None = None,
) -> Written:
    """Write it as Markdown."""
    return write_bytes(path, card(model, known, sha256, formats, taken).encode())


def card(
    model: ModelFile,
    known: Provenance,
    sha256: str,
    formats: Sequence[ExportedFormat],
    taken: Exportable | None = None,
) -> str:
    """Its text. `taken`: the model taken apart, where files that compute were made of it."""
    limits = model.thresholds
    lines = [
        f"# {known.name}",
        "",
        f"- Task: {model.task}",
        f"- Architecture: {model.architecture} with {model.head}, trained by {model.framework}",
        f"- Input: {model.pixels or 'upright RGB pictures'}; input_size {model.input_size}",
        f"- Thresholds: confidence {limits.confidence:g}, IoU {limits.iou:g}, at most {limits.max_boxes} boxes",
        f"- Licence: {known.licence}",
        f"- Parents: {', '.join(known.parents) or 'none'}",
        f"- Model file's sha256: {sha256}",
        "",
        *(_use(taken) if taken is not None else []),
        "## Labels",
        "",
        "| index | label | threshold |",
        "|---|---|---|",
        *(
            f"| {index} | {_cell(label)} | {limits.labels.get(label, limits.confidence):g} |"
            for index, label in enumerate(model.labels)
        ),
        "",
        "## Figures",
        "",
        *(_figures(known.figures) if known.figures else ["None were given: evaluate the model to have some."]),
        "",
        "## Files",
        "",
        "| format | file | sha256 | compared | scores differ | boxes differ | mAP or accuracy drop | accepted |",
        "|---|---|---|---|---|---|---|---|",
        *(_row(one) for one in formats),
        "",
        "Scores and boxes (in pixels of the input) are compared with the trained model's own on so many pictures.",
        "",
    ]
    if known.effective:
        lines += ["## Settings", "", *(f"- {name}: {value}" for name, value in sorted(known.effective.items())), ""]
    return "\n".join(lines)


def _use(taken: Exportable) -> list[str]:
    """How a program that has only the file uses it."""
    return [
        "## Use",
        "",
        f"- `{taken.input_name}`: float32, batch x 3 x height x width, red, green, blue; {taken.pixels}",
        "- Pictures are read upright (turned as their EXIF orientation says), as 8 bits, with white behind what is "
        "transparent",
        *(f"- `{name}`: {meaning}" for name, meaning in zip(taken.outputs, taken.meanings, strict=True)),
        "",
    ]


def _figures(figures: Sequence[Evaluation]) -> list[str]:
    rows = [
        f"| {one.input} | {one.pictures} | {one.boxes} | {_number(one.map50)} | {_number(one.map50_95)} "
        f"| {_number(one.accuracy)} |"
        for one in figures
    ]
    return ["| data set | pictures | labelled | mAP50 | mAP50-95 | accuracy |", "|---|---|---|---|---|---|", *rows]


def _row(one: ExportedFormat) -> str:
    files = "<br>".join(file.path for file in one.files)
    hashes = "<br>".join(file.sha256 for file in one.files)
    compared = f"{one.pictures} pictures, {one.detections} results" if one.pictures else "no"
    verdict = {True: "yes", False: "no", None: "not judged"}[one.accepted]
    return (
        f"| {one.format} | {files} | {hashes} | {compared} | {_number(one.score_difference, '.1e')} "
        f"| {_number(one.box_difference, '.1e')} | {_number(one.map_drop, '.2f')} | {verdict} |"
    )


def _number(value: float | None, how: str = ".4f") -> str:
    return "–" if value is None else format(value, how)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
