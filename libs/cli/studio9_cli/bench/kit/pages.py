"""One set of labelled pages twice: as inputs of a job, and as Ultralytics wants its data on the disk."""

import asyncio
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from studio9_cli.demo.digits import Page, Split, build_pages
from studio9_common.contracts.job import Input, ObjectRef
from studio9_common.ids import new_id
from studio9_common.objects.port import Objects
from studio9_task.pictures import PictureRecord
from studio9_task.shapes import Box

SPLITS: Mapping[str, Split] = {"train": "train", "val": "test"}
"""Our names, and the pages' own."""


class Pages:
    """`counts` pages of `size` by `size` pixels by split (train, val)."""

    def __init__(self, folder: Path, counts: Mapping[str, int], size: int) -> None:
        self.folder, self.size = folder, size
        self._pages: dict[str, list[Page]] = {
            name: build_pages(folder / "images" / name, counts[name], size, split=split)
            for name, split in SPLITS.items()
        }

    def data_file(self) -> Path:
        """The description that Ultralytics reads; written with every page's boxes."""
        names = sorted({box.label for pages in self._pages.values() for page in pages for box in page.boxes})
        for name, pages in self._pages.items():
            labels = self.folder / "labels" / name
            labels.mkdir(parents=True, exist_ok=True)
            for page in pages:
                lines = [
                    f"{names.index(box.label)} {(box.left + box.width / 2) / self.size} "
                    f"{(box.top + box.height / 2) / self.size} {box.width / self.size} {box.height / self.size}\n"
                    for box in page.boxes
                ]
                (labels / f"{page.path.stem}.txt").write_text("".join(lines))
        described = self.folder / "data.yaml"
        # JSON is YAML, too.
        content = {"path": str(self.folder), "train": "images/train", "val": "images/val"}
        described.write_text(json.dumps(content | {"names": dict(enumerate(names))}))
        return described

    async def inputs(self, objects: Objects, organisation: str) -> tuple[Input, ...]:
        """The same as objects, with a manifest for each split."""
        return tuple([await _input(objects, organisation, name, pages) for name, pages in self._pages.items()])


async def _input(objects: Objects, organisation: str, name: str, pages: Sequence[Page]) -> Input:
    lines = []
    for page in pages:
        content = await asyncio.to_thread(page.path.read_bytes)
        sha256 = hashlib.sha256(content).hexdigest()
        key = f"{organisation}/pictures/{sha256}"
        await objects.put(key, content)
        side = _side(page)
        record = PictureRecord(
            picture_id=page.filename,
            version=sha256,
            sha256=sha256,
            key=key,
            filename=page.filename,
            size=len(content),
            width=side,
            height=side,
            annotations=tuple(
                Box(label=box.label, left=box.left, top=box.top, width=box.width, height=box.height)
                for box in page.boxes
            ),
        )
        lines.append(record.model_dump_json(exclude_none=True).encode() + b"\n")
    body = b"".join(lines)
    ref = ObjectRef(
        key=f"{organisation}/datasets/{new_id()}.jsonl", sha256=hashlib.sha256(body).hexdigest(), size=len(body)
    )
    await objects.put(ref.key, body)
    return Input(name=name, kind="pictures", ref=ref)


def _side(page: Page) -> int:
    """The width of a PNG file, from its header (bytes 16 to 19)."""
    with page.path.open("rb") as file:
        return int.from_bytes(file.read(24)[16:20], "big")
