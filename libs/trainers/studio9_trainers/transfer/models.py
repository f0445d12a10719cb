"""Trained networks at work: pictures in; labels, or pictures, out."""

from collections.abc import Iterable, Iterator
from copy import deepcopy
from itertools import islice

import cv2
import numpy as np
import torch

from studio9_trainers.data.dataset import Picture
from studio9_trainers.data.decode import Pixels
from studio9_trainers.export.exportable import Exportable
from studio9_trainers.loops.at_work import AtWork
from studio9_trainers.loops.pixels import SCALED, Placed, Variation, place, square_input, squared
from studio9_trainers.models import Scores

BATCH = 32
Given = tuple[Picture, Pixels]
Ready = tuple[Picture, Pixels, Placed, Pixels]
"""Picture, its pixels, where they lie in the square, the square's pixels."""


class NetworkModel(AtWork):
    """A network that takes squares, in batches."""

    def _batches(self, pictures: Iterable[Given]) -> Iterator[tuple[list[Ready], torch.Tensor]]:
        side = self.file.input_size
        pending = iter(pictures)
        while some := list(islice(pending, BATCH)):
            ready = []
            for picture, pixels in some:
                placed = place(pixels.shape, side, Variation(), None)
                ready.append((picture, pixels, placed, squared(pixels, side, placed)))
            stacked = np.stack([one[3] for one in ready]).transpose(0, 3, 1, 2)
            yield ready, torch.from_numpy(np.ascontiguousarray(stacked)).to(self.device).float() / 255


class PictureClassifier(NetworkModel):
    """Gives each picture a label."""

    @torch.inference_mode()
    def classify(self, pictures: Iterable[Given]) -> Iterator[tuple[Picture, Scores]]:
        """See models.Classifier."""
        for ready, pixels in self._batches(pictures):
            scores = self.network(pixels).softmax(dim=1).double().cpu().numpy()
            yield from zip((one[0] for one in ready), scores, strict=True)

    def exportable(self) -> Exportable:
        """See CanExport."""
        side = self.file.input_size
        return Exportable(
            task=self.file.task,
            labels=self.names,
            thresholds=self.thresholds,
            module=Probabilities(self.network),
            outputs=("scores",),
            meanings=("batch x labels: how probable each label is; they add up to 1",),
            side=side,
            prepare=lambda pixels: square_input(pixels, side),
            split=lambda outputs: (None, outputs[0]),
            pixels=f"{self.file.pixels}; {SCALED}",
            fixed=True,
        )


class Probabilities(torch.nn.Module):
    """A classifying network with the softmax that makes probabilities of its scores."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = deepcopy(network).cpu().float().eval()
        self.eval()

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """One probability a label."""
        return self.network(pixels).softmax(dim=1)


class PictureReconstructor(NetworkModel):
    """Puts pictures together again."""

    @torch.inference_mode()
    def reconstruct(self, pictures: Iterable[Given]) -> Iterator[tuple[Picture, Pixels, float]]:
        """See models.Reconstructor. The border around a picture does not count."""
        for ready, pixels in self._batches(pictures):
            again = self.network(pixels)
            squares = ((again - pixels) ** 2).mean(dim=1).cpu().numpy()
            shown = (again * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
            for (picture, own, placed, _), square, picture_again in zip(ready, squares, shown, strict=True):
                inside = cv2.warpAffine(
                    np.ones(own.shape[:2], np.uint8), placed.matrix, square.shape[::-1], flags=cv2.INTER_NEAREST
                )
                yield picture, picture_again, float(square[inside > 0].mean())
