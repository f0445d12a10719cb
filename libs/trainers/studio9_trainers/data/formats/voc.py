"""Pascal VOC: `JPEGImages/`, `Annotations/*.xml`, `ImageSets/Main/<split>.txt`. Boxes only.

Its pixels count from 1 and its right and bottom ones belong to the box: xmin = left + 1, xmax = right. What is
`difficult` is to be ignored.
"""

from pathlib import Path
from typing import cast
from xml.etree import ElementTree

from studio9_task.pictures import Split
from studio9_task.shapes import Box
from studio9_trainers.data.class_map import ClassMap
from studio9_trainers.data.collection import Collection, Sample, found, lost
from studio9_trainers.data.findings import Finding
from studio9_trainers.data.formats.placing import Names, number, place
from studio9_trainers.errors import BadInput

SPLITS = ("train", "val", "test")
MOST = 16 * 1024 * 1024
"""Bytes of one annotation file."""


def read_voc(root: Path) -> Collection:
    """All pictures that have an annotation file. Raises BadInput where there is no folder of them."""
    files = sorted((root / "Annotations").glob("*.xml"))
    if not files:
        raise BadInput(f"{root.name} has no Annotations/*.xml: give a folder in Pascal VOC's form.")
    splits = {
        name: split
        for split in SPLITS
        if (listed := root / "ImageSets" / "Main" / f"{split}.txt").is_file()
        for name in listed.read_text(encoding="utf-8").split("\n")
    }
    findings: list[Finding] = []
    samples = []
    for file in files:
        name = file.relative_to(root).as_posix()
        try:
            tree = _parsed(file)
        except ValueError as error:
            findings.append(Finding("error", "bad_label", str(error), "write it again", name))
            continue
        picture = Path(tree.findtext("filename") or f"{file.stem}.jpg").name
        sample = found(root / "JPEGImages" / picture, picture, findings, cast(Split, splits.get(file.stem, "none")))
        if sample is None:
            continue
        boxes = []
        for at, one in enumerate(tree.findall("object")):
            try:
                boxes.append(_box(one))
            except ValueError as error:
                findings.append(Finding("error", "bad_label", str(error), "correct it", name, field=f"object[{at}]"))
        samples.append(Sample(sample.path, sample.record.model_copy(update={"annotations": tuple(boxes)})))
    labels = (shape.label for sample in samples for shape in sample.record.annotations)
    return Collection(tuple(samples), ClassMap.of(labels), tuple(findings))


def write_voc(collection: Collection, root: Path) -> tuple[Finding, ...]:
    """Write pictures and boxes; other shapes are left out and told."""
    names = Names()
    findings = []
    listed: dict[str, list[str]] = {}
    (root / "Annotations").mkdir(parents=True, exist_ok=True)
    for sample in collection.samples:
        record = sample.record
        name = names.file(sample)
        place(sample, root / "JPEGImages" / name)
        if len(record.boxes) < len(record.annotations):
            findings.append(lost(sample, "other shapes than boxes", "Pascal VOC"))
        tree = ElementTree.Element("annotation")
        ElementTree.SubElement(tree, "filename").text = name
        size = ElementTree.SubElement(tree, "size")
        for field, value in (("width", record.width), ("height", record.height), ("depth", 3)):
            ElementTree.SubElement(size, field).text = str(value)
        for box in record.boxes:
            _add(tree, box)
        ElementTree.indent(tree)
        path = (root / "Annotations" / name).with_suffix(".xml")
        ElementTree.ElementTree(tree).write(path, encoding="utf-8", xml_declaration=True)
        if record.split != "none":
            listed.setdefault(record.split, []).append(path.stem)
    for split, stems in listed.items():
        path = root / "ImageSets" / "Main" / f"{split}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{stem}\n" for stem in stems), encoding="utf-8")
    return tuple(findings)


def _parsed(file: Path) -> ElementTree.Element:
    content = file.read_bytes()
    if len(content) > MOST:
        raise ValueError(f"{len(content)} bytes, at most {MOST} are read")
    if b"<!DOCTYPE" in content or b"<!ENTITY" in content:
        raise ValueError("it declares entities, which no annotation needs")
    try:
        return ElementTree.fromstring(content)
    except ElementTree.ParseError as error:
        raise ValueError(f"it is no XML ({error})") from None


def _box(one: ElementTree.Element) -> Box:
    label = (one.findtext("name") or "").strip()
    if not label:
        raise ValueError("it has no name")
    values = []
    for field in ("xmin", "ymin", "xmax", "ymax"):
        text = one.findtext(f"bndbox/{field}")
        try:
            values.append(float(text or ""))
        except ValueError:
            raise ValueError(f"bndbox/{field} is {text!r}, no number") from None
    left, top, right, bottom = values[0] - 1, values[1] - 1, values[2], values[3]
    if right <= left or bottom <= top:
        raise ValueError(f"a box from ({left + 1:g}, {top + 1:g}) to ({right:g}, {bottom:g}) has no area")
    ignore = (one.findtext("difficult") or "0").strip() == "1"
    return Box(label=label, left=left, top=top, width=right - left, height=bottom - top, ignore=ignore)


def _add(tree: ElementTree.Element, box: Box) -> None:
    one = ElementTree.SubElement(tree, "object")
    ElementTree.SubElement(one, "name").text = box.label
    ElementTree.SubElement(one, "difficult").text = str(int(box.ignore))
    sides = ElementTree.SubElement(one, "bndbox")
    left, top, right, bottom = box.corners
    for field, value in (("xmin", left + 1), ("ymin", top + 1), ("xmax", right), ("ymax", bottom)):
        ElementTree.SubElement(sides, field).text = number(value)
