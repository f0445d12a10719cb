"""Pictures with what was predicted on them."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from PIL import Image, ImageDraw

from studio9_task.results import PredictedPicture
from studio9_trainers.data.collection import Sample
from studio9_trainers.data.decode import decode
from studio9_trainers.evaluation.showing import LONGEST, RIGHT

MOST = 200
"""Pictures that are drawn."""


def draw(found: Iterable[PredictedPicture], samples: Sequence[Sample], folder: Path) -> list[Path]:
    """Write the first pictures with their boxes as PNG files, named like the pictures."""
    by_id = {one.record.picture_id: one for one in samples}
    written = []
    for one in list(found)[:MOST]:
        sample = by_id[one.picture_id]
        image = Image.fromarray(decode(sample.path))
        scale = min(1.0, LONGEST / max(image.size))
        if scale < 1:
            image = image.resize((max(1, round(image.width * scale)), max(1, round(image.height * scale))))
        pen = ImageDraw.Draw(image)
        for box in one.boxes:
            left, top = box.left * scale, box.top * scale
            pen.rectangle((left, top, left + box.width * scale, top + box.height * scale), outline=RIGHT, width=2)
            pen.text((left + 2, max(0.0, top - 11)), f"{box.label} {box.confidence:.2f}", fill=RIGHT)
        if one.label is not None:
            pen.text((4, 4), f"{one.label} {(one.scores or {}).get(one.label, 0):.2f}", fill=RIGHT)
        stem = Path(sample.record.filename).stem
        path = folder / f"{stem}-{one.picture_id[:8]}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path)
        written.append(path)
    return written
