"""Measures loading: our batches, Ultralytics' with the same variations, decoding alone. Nothing is kept in memory."""

import hashlib
import tempfile
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import simplejpeg
import torch
from answering import answer, one_core, repeated
from sklearn.datasets import load_sample_images

from studio9_task.pictures import PictureRecord
from studio9_task.shapes import Box
from studio9_trainers.data.dataset import Picture
from studio9_trainers.loading.batches import PictureLoader
from studio9_trainers.loading.variation import Varied
from studio9_trainers.yolo.quiet import ultralytics

PICTURES, BOXES, SIDE, BATCH = 64, 10, 640, 16
VARIED = Varied(degrees=0.0, translate=0.1, scale=0.5, hue=0.015, saturation=0.7, value=0.4, mirror=0.5)
SIZES = {"640x480": (640, 480), "1920x1080": (1920, 1080)}


def pictures(folder: Path, size: str) -> list[Picture]:
    """Pieces of real photos as JPEG of quality 90, with boxes here and there."""
    width, height = SIZES[size]
    random = np.random.default_rng(1)
    made = []
    (folder / size / "images").mkdir(parents=True)
    (folder / size / "labels").mkdir()
    for number in range(PICTURES):
        photo = load_sample_images().images[number % 2]
        part = random.uniform(0.7, 1)
        rows, columns = int(photo.shape[0] * part), int(photo.shape[1] * part)
        top, left = random.integers(0, photo.shape[0] - rows + 1), random.integers(0, photo.shape[1] - columns + 1)
        pixels = cv2.resize(
            photo[top : top + rows, left : left + columns], (width, height), interpolation=cv2.INTER_CUBIC
        )
        path = folder / size / "images" / f"{number}.jpg"
        path.write_bytes(simplejpeg.encode_jpeg(np.ascontiguousarray(pixels), 90, "RGB", "420"))
        corners = random.uniform(0, 0.7, (BOXES, 2)), random.uniform(0.05, 0.3, (BOXES, 2))
        boxes = tuple(
            Box(label="x", left=x * width, top=y * height, width=w * width, height=h * height)
            for (x, y), (w, h) in zip(*corners, strict=True)
        )
        lines = [f"0 {x + w / 2} {y + h / 2} {w} {h}" for (x, y), (w, h) in zip(*corners, strict=True)]
        (folder / size / "labels" / f"{number}.txt").write_text("\n".join(lines))
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        record = PictureRecord(
            picture_id=str(number), version=digest, sha256=digest, key="k", filename=path.name, size=1,
            width=width, height=height,
        )  # fmt: skip
        made.append(Picture(record, path, boxes))
    return made


def ours(known: list[Picture]) -> Callable[[], int]:
    """Pictures of one epoch, all different ones."""
    loader = PictureLoader(known, ["x"], SIDE, BATCH, varied=VARIED)
    epochs = iter(range(10**9))
    return lambda: sum(len(batch.pixels) for batch in loader.epoch(next(epochs)))


def theirs(folder: Path) -> Callable[[], int]:
    """The same with the package's own data set and loader, in this process as on every CPU."""
    from ultralytics.cfg import get_cfg
    from ultralytics.data.build import build_dataloader, build_yolo_dataset

    settings = get_cfg(
        overrides={
            "imgsz": SIDE, "mosaic": 0.0, "mixup": 0.0, "cutmix": 0.0, "copy_paste": 0.0, "erasing": 0.0,
            "degrees": VARIED.degrees, "translate": VARIED.translate, "scale": VARIED.scale, "shear": 0.0,
            "perspective": 0.0, "hsv_h": VARIED.hue, "hsv_s": VARIED.saturation, "hsv_v": VARIED.value,
            "fliplr": VARIED.mirror, "flipud": 0.0, "cache": False, "task": "detect",
        }
    )  # fmt: skip
    data = {"names": {0: "x"}, "nc": 1, "channels": 3}
    dataset = build_yolo_dataset(settings, str(folder / "images"), BATCH, data, mode="train", rect=False, stride=32)

    def forgetful(load: Callable[..., Any]) -> Callable[..., Any]:
        def one(i: int, *args: Any, **options: Any) -> Any:
            dataset.ims[i] = None  # it keeps what it has decoded, for mosaics
            return load(i, *args, **options)

        return one

    dataset.load_image = forgetful(dataset.load_image)
    loader = build_dataloader(dataset, BATCH, workers=0, shuffle=True, rank=-1)
    return lambda: sum(len(batch["img"]) for batch in loader)


def bare(known: list[Picture]) -> Callable[[], int]:
    """Decoding alone."""

    def once() -> int:
        for one in known:
            simplejpeg.decode_jpeg(one.path.read_bytes(), "RGB")
        return len(known)

    return once


def main() -> None:
    one_core()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ultralytics(folder / "scratch", 1)

        @cache
        def arms(size: str) -> Mapping[str, Callable[[], int]]:
            known = pictures(folder, size)
            return {"ours": ours(known), "theirs": theirs(folder / size), "bare": bare(known)}

        def measured(which: str) -> Callable[..., Mapping[str, Any]]:
            def run(size: str, seconds: float) -> Mapping[str, Any]:
                work = arms(size)[which]
                work()
                return {"pictures_per_s": repeated(work, seconds)}

            return run

        answer({name: measured(name) for name in ("ours", "theirs", "bare")})


if __name__ == "__main__":
    main()
