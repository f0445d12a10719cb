"""Transfer learning in the loop that is ours: classifiers and auto-encoders."""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional

from studio9_trainers.capabilities import Capabilities, Task
from studio9_trainers.data.decode import decode
from studio9_trainers.errors import UserError
from studio9_trainers.evaluation.accuracy import JudgedLabel, evaluate_labels
from studio9_trainers.extensions import own_metrics
from studio9_trainers.files import ModelFile, State, load_model, read_model
from studio9_trainers.loops.batches import Batch
from studio9_trainers.loops.loop import Loop
from studio9_trainers.loops.pixels import PIXELS
from studio9_trainers.machine import device
from studio9_trainers.models import Model
from studio9_trainers.trainer import Order
from studio9_trainers.transfer.backbones import make_backbone
from studio9_trainers.transfer.components import Components, sizes
from studio9_trainers.transfer.detection import Detection
from studio9_trainers.transfer.framework import capability
from studio9_trainers.transfer.models import PictureClassifier, PictureReconstructor
from studio9_trainers.transfer.network import (
    Network,
    backbone_of,
    backbone_options,
    load_backbone,
    rebuilt,
)
from studio9_trainers.transfer.offered import NAME
from studio9_trainers.truth import label_of

KEPT_BYTES = 512 * 2**20
"""A frozen backbone's features are computed once and kept, up to so much."""


def trainer(task: Task, order: Order) -> Loop:
    """The loop for a task and head."""
    if task == "detect":
        return Detection(task, order)
    if task == "reconstruct":
        return Reconstruction(task, order)
    if order.config is not None and order.config.head in ("KPCA_MNL", "RPCA_MNL"):
        return ComponentClassification(task, order)
    return Classification(task, order)


class Transfer(Loop):
    """What all of them share."""

    framework = NAME
    largest = 224

    @property
    def capabilities(self) -> Capabilities:
        """See Trainer.capabilities."""
        return capability(self.task)

    def load(self, path: Path) -> Model:
        """See Trainer.load."""
        file = load_model(path, NAME, self.task)
        return self._at_work(file, rebuilt(file))

    def create_model(self) -> torch.nn.Module:
        """See Loop."""
        config, material = self.order.training
        self.options: dict[str, Any] = dict(config.options)
        begin = None
        if material.begin is not None:
            file = read_model(material.begin)
            begin = backbone_of(file, config.architecture)
            self.options |= backbone_options(file)
        self.options |= self.more_options()
        network = Network(self.task, config.architecture, config.head, len(self.labels), self.input_size, self.options)
        if begin is not None:
            load_backbone(network, begin)
        return network

    def more_options(self) -> dict[str, Any]:
        """What a head needs to know beside the settings."""
        return {}

    def export_model(self, weights: State) -> Model:
        """See Loop."""
        config, _ = self.order.training
        file = ModelFile(
            framework=NAME,
            task=self.task,
            architecture=config.architecture,
            head=config.head,
            labels=self.labels,
            input_size=self.input_size,
            thresholds=config.thresholds,
            state=weights,
            options=self.options,
            pixels=PIXELS,
        )
        return self._at_work(file, rebuilt(file))

    def _at_work(self, file: ModelFile, network: Network) -> Model:
        where = device()
        if self.task == "reconstruct":
            return PictureReconstructor(file, network, where)
        return PictureClassifier(file, network, where)

    def _fixed(self, batch: Batch) -> torch.Tensor:
        return batch.pixels.to(self.run.device).float() / 255


class Classification(Transfer):
    """One label a picture."""

    def losses(self, model: torch.nn.Module, batch: Batch) -> Mapping[str, torch.Tensor]:
        """See Loop."""
        config, _ = self.order.training
        scores = model.head(self._features(model, batch))
        smoothing = float(config.options.get("label_smoothing", 0.0))
        targets = self.targets(batch)
        if config.loop.class_weights == "none":
            return {"loss": functional.cross_entropy(scores, targets, label_smoothing=smoothing)}
        # Not divided by the batch's own weights: those of a batch of one label, or of one picture, would cancel out.
        loss = functional.cross_entropy(
            scores, targets, weight=self._weights, label_smoothing=smoothing, reduction="sum"
        )
        return {"loss": loss / (targets >= 0).sum()}

    @torch.inference_mode()
    def validate(self, model: torch.nn.Module) -> tuple[dict[str, float], float]:
        """Accuracy and cross-entropy; of two epochs with one accuracy the surer one is fitter."""
        judged: list[JudgedLabel] = []
        loss = 0.0
        for batch in self.val_batches.epoch(0):
            scores = model(self._fixed(batch))
            targets = self.targets(batch)
            loss += float(functional.cross_entropy(scores, targets, reduction="sum"))
            for target, one in zip(targets.tolist(), scores.softmax(1).double().cpu().numpy(), strict=True):
                judged.append(JudgedLabel(target, one))
        accuracy = evaluate_labels(judged, self.labels, "val").accuracy or 0.0
        mean = loss / max(1, len(judged))
        told = {"accuracy": accuracy, "loss": mean} | own_metrics(self.labels, judged)
        return told, accuracy + 1e-3 / (1 + mean)

    def targets(self, batch: Batch) -> torch.Tensor:
        """Label indices."""
        found = [self.labels.index(label) if (label := label_of(one)) else -100 for one in batch.pictures]
        return torch.tensor(found, device=self.run.device)

    def _features(self, model: torch.nn.Module, batch: Batch) -> torch.Tensor:
        config, _ = self.order.training
        if not config.freeze_backbone:
            return model.features(batch.pixels.float() / 255)
        known = self._frozen
        if known:
            return torch.stack([known[one.record.picture_id] for one in batch.pictures]).to(self.run.device)
        with torch.no_grad():
            return model.features(batch.pixels.float() / 255)

    @cached_property
    def _frozen(self) -> dict[str, torch.Tensor]:
        """The frozen backbone's features of all training pictures, unvaried; nothing where they are too large."""
        found: dict[str, torch.Tensor] = {}
        _, material = self.order.training
        with torch.no_grad():
            for batch in self.fixed_batches.epoch(0):
                features = self.model.features(self._fixed(batch)).cpu()
                if features[0].nbytes * len(material.train) > KEPT_BYTES:
                    return {}
                found |= {one.record.picture_id: row for one, row in zip(batch.pictures, features, strict=True)}
        return found

    @cached_property
    def _weights(self) -> torch.Tensor:
        """Of each label: their mean over the pictures learned from is 1. A label that none of them shows weighs
        nothing, or smoothing would pull towards it."""
        _, material = self.order.training
        counts = torch.zeros(len(self.labels))
        for picture in material.train.pictures:
            if (label := label_of(picture)) is not None:
                counts[self.labels.index(label)] += 1
        shown = counts > 0
        weights = torch.where(shown, counts.sum() / (shown.sum() * counts.clamp_min(1)), 0.0)
        return weights.to(self.run.device)


class ComponentClassification(Classification):
    """Heads that are computed at once on the features of a trained backbone."""

    def more_options(self) -> dict[str, Any]:
        """See Transfer."""
        config, material = self.order.training
        if material.begin is None:
            raise UserError(
                f"head = {config.head!r}: it needs a trained feature extractor: choose a model to begin with.",
                "bad_parameters",
            )
        wanted, pictures = int(config.options["n_components"]), len(material.train)
        width = _width(config.architecture, self.options, self.input_size)
        references, components = sizes(config.head, width, pictures, wanted)
        if components < wanted:
            self.run.warn("components_clipped", f"n_components = {wanted}: {components} can be had, so they are used.")
        return {"references": references, "components": components}

    def train_epoch(self, epoch: int, done: int) -> dict[str, float]:
        """The whole training."""
        rows, targets = [], []
        self.model.eval()
        with torch.no_grad():
            for batch in self.fixed_batches.epoch(0):
                rows.append(self.model.features(self._fixed(batch)).mean(dim=(2, 3)))
                targets.append(self.targets(batch))
                self.run.stop.check()
        head = self.model.head
        assert isinstance(head, Components)
        self._rate = 0.0
        loss = head.fit(torch.cat(rows), torch.cat(targets))
        self.average.model.load_state_dict(self.model.state_dict())
        return {"loss": loss}


class Reconstruction(Transfer):
    """The picture itself."""

    def losses(self, model: torch.nn.Module, batch: Batch) -> Mapping[str, torch.Tensor]:
        """See Loop."""
        pixels = batch.pixels.float() / 255
        return {"loss": functional.mse_loss(model(pixels).float(), pixels)}

    def validate(self, model: torch.nn.Module) -> tuple[dict[str, float], float]:
        """The reconstruction loss: mean squared error a pixel and colour."""
        _, material = self.order.training
        assert isinstance(model, Network)
        at_work = PictureReconstructor(self._facts(), model, self.run.device)
        given = ((one, decode(one.path)) for one in material.val.pictures)
        losses = [loss for _, _, loss in at_work.reconstruct(given)]
        mean = sum(losses) / max(1, len(losses))
        return {"reconstruction_loss": mean}, 1 / (1 + mean)

    def _facts(self) -> ModelFile:
        config, _ = self.order.training
        return ModelFile(NAME, self.task, config.architecture, config.head, (), self.input_size, config.thresholds, {})


def _width(architecture: str, options: Mapping[str, Any], side: int) -> int:
    with torch.device("meta"):
        return make_backbone(architecture, options, side).channels[-1]
