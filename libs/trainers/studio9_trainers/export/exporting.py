"""Exports a model to several formats, each judged beside the model itself, with a card that says how it went."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from safetensors.torch import save_file

from studio9_task.outputs import Written, new_file
from studio9_task.parameters import ExportFormat
from studio9_task.results import ExportedFile, ExportedFormat
from studio9_trainers.capabilities import WEIGHTS
from studio9_trainers.data.dataset import Picture, PictureSet
from studio9_trainers.data.decode import Pixels, decode
from studio9_trainers.errors import BadInput, CantExport
from studio9_trainers.evaluation.figures import HasOwnFigures, Judged, evaluate, judged
from studio9_trainers.export.card import Provenance, write_card
from studio9_trainers.export.exportable import CanExport, Exportable, ExportedDetector, Runner, TorchRunner
from studio9_trainers.export.int8_file import write_int8
from studio9_trainers.export.onnx_file import OnnxRunner, write_half, write_onnx
from studio9_trainers.export.openvino_file import OpenVinoRunner, write_openvino
from studio9_trainers.export.parity import LEAST_PICTURES, Parity, compare
from studio9_trainers.export.tensorrt_file import write_tensorrt
from studio9_trainers.export.torchscript_file import TorchScriptRunner, write_torchscript
from studio9_trainers.files import FACTS, ModelFile
from studio9_trainers.frameworks import exporting
from studio9_trainers.models import Model, ShapeFinder
from studio9_trainers.truth import label_of, labels_of

COMPARED = 100
"""Pictures that exact formats are compared on, at most."""
MOST_DROP = {"fp16": 0.5, "int8": 1.5}
"""Points of mAP50-95 (of 100) that a smaller format may lose."""
FLOOR = 0.001


@dataclass(frozen=True)
class Exporter:
    """One model being exported into `folder`. `pictures` are labelled ones that it was not trained on, where there are.

    `done` hears each finished file.
    """

    model: Model
    file: ModelFile
    folder: Path
    pictures: PictureSet | None = None
    done: Callable[[Written], None] = lambda written: None

    def export(self, formats: Sequence[ExportFormat], known: Provenance, sha256: str) -> list[ExportedFormat]:
        """Write all formats and the card, `card.md`.

        Raises CantExport for formats that models of this framework and task can't be written in, naming those that
        can, and Unsupported for one that can't be made on this machine.
        """
        if refused := [one for one in dict.fromkeys(formats) if self._pair not in exporting(one)]:
            raise CantExport(
                " ".join(f"formats: {self._pair} can't be written as {one}; {_can(one)}." for one in refused)
            )
        computed = set(formats) - {*WEIGHTS}
        found = [self._weights()] if computed != set(formats) else []
        taken = None
        if computed:
            if not isinstance(self.model, CanExport):
                raise CantExport
            taken = self.model.exportable()
            found += self._computed([one for one in dict.fromkeys(formats) if one in computed], taken)
        for one in found:
            for file in one.files:
                self.done(Written(self.folder / file.path, file.size, file.sha256))
        self.done(write_card(self.folder / "card.md", self.file, known, sha256, found, taken))
        return found

    @property
    def _pair(self) -> str:
        return f"{self.file.framework} to {self.file.task}"

    def _weights(self) -> ExportedFormat:
        return self._told("safetensors", [write_safetensors(self.folder / "model.safetensors", self.file)], None)

    def _computed(self, formats: Sequence[ExportFormat], taken: Exportable) -> list[ExportedFormat]:
        pixels = [decode(one.path) for one in self._some(COMPARED)]
        source = self.folder / "model.onnx"
        onnx = write_onnx(taken, source) if set(formats) - {"torchscript"} else None
        found = [self._one(name, taken, pixels, source, onnx) for name in formats]
        if "onnx" not in formats:
            source.unlink(missing_ok=True)
        return found

    def _one(
        self, name: ExportFormat, taken: Exportable, pixels: list[Pixels], source: Path, onnx: Written | None
    ) -> ExportedFormat:
        folder, reference = self.folder, TorchRunner(taken.module)
        match name:
            case "torchscript":
                made = [write_torchscript(taken, folder / "model.torchscript")]
                return self._told(name, made, self._compared(taken, reference, TorchScriptRunner(made[0].path), pixels))
            case "onnx":
                assert onnx is not None
                return self._told(name, [onnx], self._compared(taken, reference, OnnxRunner(source), pixels))
            case "openvino":
                made = list(write_openvino(source, folder / "openvino.xml"))
                return self._told(name, made, self._compared(taken, reference, OpenVinoRunner(made[0].path), pixels))
            case "fp16":
                made = [write_half(source, folder / "model-fp16.onnx")]
            case "int8":
                if not pixels:
                    raise BadInput("int8: give pictures, for ranges are taken from them (input `test`).")
                made = [write_int8(taken, source, folder / "model-int8.onnx", pixels)]
            case _:
                return self._told(name, [write_tensorrt(source, folder / "model.engine", taken.side)], None)
        small = OnnxRunner(made[0].path)
        told = self._told(name, made, self._compared(taken, reference, small, pixels))
        drop = self._drop(taken, reference, small)
        accepted = None if drop is None else drop <= MOST_DROP[name]
        return told.model_copy(update={"map_drop": drop, "accepted": accepted})

    def _compared(self, taken: Exportable, one: Runner, other: Runner, pixels: list[Pixels]) -> Parity | None:
        return compare(taken, one, other, pixels) if pixels else None

    def _told(self, name: ExportFormat, made: Sequence[Written], parity: Parity | None) -> ExportedFormat:
        files = tuple(
            ExportedFile(path=one.path.relative_to(self.folder).as_posix(), size=one.size, sha256=one.sha256)
            for one in made
        )
        if parity is None:
            return ExportedFormat(format=name, files=files)
        judged_at_all = parity.pictures >= LEAST_PICTURES
        return ExportedFormat(
            format=name,
            files=files,
            accepted=parity.accepted if judged_at_all else None,
            pictures=parity.pictures,
            detections=parity.detections,
            score_difference=parity.score,
            box_difference=parity.box,
            same_results=parity.same,
        )

    def _drop(self, taken: Exportable, one: Runner, other: Runner) -> float | None:
        """Points of mAP50-95, of a classifier of accuracy, that the other loses; none without labelled pictures."""
        if self.pictures is None or not labels_of(self.file.task, self.pictures):
            return None
        if taken.finish is None:
            right, left = (accuracy(taken, runner, self.pictures) for runner in (one, other))
            return 100 * (right - left)
        before, after = (self._precisions(taken, runner, self.pictures) for runner in (one, other))
        return max(100 * (before[name] - after[name]) for name in before)

    def _precisions(self, taken: Exportable, runner: Runner, pictures: PictureSet) -> dict[str, float]:
        """mAP50-95 of boxes, by COCO's rules, and of what a model finds beside them by its framework's."""
        seen, names = judgements(ExportedDetector(taken, runner), pictures)
        told = {"boxes": evaluate(seen, names, taken.thresholds, pictures.name).map50_95 or 0.0}
        if isinstance(self.model, ShapeFinder) and isinstance(self.model, HasOwnFigures):
            own = self.model.own_figures(seen, len(names))
            told |= {name: value for name, value in own.items() if "mAP50-95" in name}
        return told

    def _some(self, most: int) -> Sequence[Picture]:
        return self.pictures.pictures[:most] if self.pictures is not None else ()


def judgements(detector: ExportedDetector, pictures: PictureSet) -> tuple[list[Judged], tuple[str, ...]]:
    """What is there in each picture beside what an exported detector finds, and all labels."""
    limits = detector.thresholds
    names = (*detector.names, *sorted(set(pictures.labels) - set(detector.names)))
    decoded = ((one, decode(one.path)) for one in pictures.pictures)
    found = detector.detect(decoded, FLOOR, limits.iou, limits.max_boxes)
    return [judged(picture.boxes, boxes, names, picture.marks) for picture, boxes in found], names


def accuracy(model: Exportable, runner: Runner, pictures: PictureSet) -> float:
    """Part of the labelled pictures whose label an exported classifier finds."""
    hits = []
    for picture in pictures.pictures:
        if (label := label_of(picture)) is not None:
            _, scores = model.split(runner(model.prepare(decode(picture.path))[None]))
            hits.append(model.labels[int(scores.argmax())] == label)
    return sum(hits) / max(1, len(hits))


def write_safetensors(path: Path, file: ModelFile) -> Written:
    """The weights alone, with the facts that rebuild the model, in a format that holds no code."""
    facts = {name: str(getattr(file, name)) for name in FACTS} | {"labels": "\n".join(file.labels)}
    with new_file(path) as new:
        save_file({name: value.contiguous() for name, value in file.state.items()}, str(new.path), facts)
    return new.written


def _can(name: ExportFormat) -> str:
    """Whose models can be written in a format, in words."""
    pairs = exporting(name)
    return f"those of {', '.join(pairs)} can" if pairs else "here no model can"
