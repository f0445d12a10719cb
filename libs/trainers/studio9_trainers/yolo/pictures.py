"""Our pictures as Ultralytics' training wants them: its augmentation, our manifest and decoder."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from ultralytics.data.converter import merge_multi_segment
from ultralytics.data.dataset import YOLODataset

from studio9_task.pictures import PictureRecord
from studio9_task.shapes import Keypoints, Mask, Polygon, RotatedBox
from studio9_trainers.data.dataset import Mark, Picture, PictureSet
from studio9_trainers.data.masks import mask_pixels
from studio9_trainers.data.outlines import rotated_corners
from studio9_trainers.loading.jpeg import decode_soon


class PictureDataset(YOLODataset):
    """Reads labels from the manifest's records and pixels through our decoder; nothing is scanned or cached."""

    def __init__(
        self, pictures: PictureSet, labels: tuple[str, ...], points: tuple[str, ...] = (), **options: Any
    ) -> None:
        self._pictures = {str(picture.path): picture for picture in pictures.pictures}
        self._indices = {label: index for index, label in enumerate(labels)}
        self._points = {name: index for index, name in enumerate(points)}
        super().__init__(img_path="", **options)

    def get_img_files(self, img_path: str | list[str]) -> list[str]:
        """The picture files."""
        return list(self._pictures)

    def get_labels(self) -> list[dict[str, Any]]:
        """One entry a picture, as the base class documents it."""
        return [self._entry(picture) for picture in self._pictures.values()]

    def load_image(
        self, i: int, rect_mode: bool = True, resize_short: bool = False
    ) -> tuple[Any, tuple[int, int], tuple[int, int]]:
        """(pixels in BGR, original size, scaled size), sizes as (height, width).

        While augmenting, the last pictures are kept, for mosaics are put together from them.
        """
        if self.ims[i] is not None:
            return self.ims[i], self.im_hw0[i], self.im_hw[i]
        pixels = cv2.cvtColor(decode_soon(Path(self.im_files[i])), cv2.COLOR_RGB2BGR)
        height, width = pixels.shape[:2]
        ratio = self.imgsz / max(height, width)
        if ratio != 1:
            size = (max(1, round(width * ratio)), max(1, round(height * ratio)))
            pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_LINEAR)
        if self.augment:
            self.ims[i], self.im_hw0[i], self.im_hw[i] = pixels, (height, width), pixels.shape[:2]
            self.buffer.append(i)
            if 1 < len(self.buffer) >= self.max_buffer_length:
                self._drop(self.buffer.pop(0))
        return pixels, (height, width), pixels.shape[:2]

    def forget(self) -> None:
        """Drop what is kept, so that an epoch doesn't depend on the one before."""
        while self.buffer:
            self._drop(self.buffer.pop())

    def _drop(self, i: int) -> None:
        self.ims[i] = self.im_hw0[i] = self.im_hw[i] = None

    def _entry(self, picture: Picture) -> dict[str, Any]:
        record = picture.record
        counted = [box for box in picture.boxes if not box.ignore]
        marks = [mark for mark in picture.marks if not mark.ignore]
        scale = (record.width, record.height, record.width, record.height)
        centred = [(box.left + box.width / 2, box.top + box.height / 2, box.width, box.height) for box in counted]
        return {
            "im_file": str(picture.path),
            "shape": (record.height, record.width),
            "cls": np.array([[self._indices[box.label]] for box in counted], dtype=np.float32).reshape(-1, 1),
            "bboxes": np.array(centred, dtype=np.float32).reshape(-1, 4) / np.array(scale, dtype=np.float32),
            "segments": [self._outline(mark, record) for mark in marks] if not self.use_keypoints else [],
            "keypoints": self._keypoints(marks, record) if self.use_keypoints else None,
            "normalized": True,
            "bbox_format": "xywh",
        }

    @staticmethod
    def _outline(mark: Mark, record: PictureRecord) -> Any:
        """Points of an outline, as parts of the picture's size; several parts are joined as the package joins them."""
        match mark:
            case RotatedBox():
                points = rotated_corners(mark)
            case Polygon():
                points = np.array(mark.points, dtype=np.float64)
            case Mask():
                pixels = mask_pixels(mark).astype(np.uint8)
                parts, _ = cv2.findContours(pixels, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
                rings = [part.reshape(-1, 2) for part in parts]
                joined = rings[0] if len(rings) == 1 else np.concatenate(merge_multi_segment(rings), axis=0)
                points = joined + np.array((mark.left + 0.5, mark.top + 0.5))
            case _:
                raise TypeError(f"{mark.kind} has no outline")
        return (points / (record.width, record.height)).astype(np.float32)

    def _keypoints(self, marks: list[Mark], record: PictureRecord) -> Any:
        """(objects, points, 3): parts of the picture's size, and whether a point is marked."""
        found = np.zeros((len(marks), len(self._points), 3), dtype=np.float32)
        for row, mark in zip(found, marks, strict=True):
            assert isinstance(mark, Keypoints)
            for point in mark.points:
                if point.visibility > 0 and point.name in self._points:
                    place = point.x / record.width, point.y / record.height, point.visibility
                    row[self._points[point.name]] = place
        return found
