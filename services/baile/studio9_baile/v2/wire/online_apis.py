"""Online APIs and what they answer."""

from typing import Literal

from studio9_baile.models.stored import OnlineApi
from studio9_baile.v2.wire.base import Answer, Body, Moment
from studio9_baile.v2.wire.online import TargetAnswer, TargetBody
from studio9_task.results import PredictedPicture


class OnlineApiAnswer(Answer):
    id: str
    ownerId: str
    name: str
    status: Literal["ACTIVE", "INACTIVE"]
    created: Moment
    updated: Moment
    enabled: bool
    target: TargetAnswer
    description: str | None = None

    @classmethod
    def of(cls, api: OnlineApi) -> "OnlineApiAnswer":
        return cls(
            id=api.id,
            ownerId=api.owner,
            name=api.name,
            status="ACTIVE" if api.enabled else "INACTIVE",
            created=api.created_at,
            updated=api.updated_at,
            enabled=api.enabled,
            target=TargetAnswer(id=api.model),
            description=api.description,
        )


class NewOnlineApiBody(Body):
    name: str | None = None
    description: str | None = None
    target: TargetBody
    enabled: bool | None = None


class OnlineApiBody(Body):
    name: str | None = None
    description: str | None = None
    enabled: bool | None = None


class Predicted(Answer):
    """A label of the picture, or of one box in it (pixels of the upright picture)."""

    label: str
    confidence: float
    left: float | None = None
    top: float | None = None
    width: float | None = None
    height: float | None = None


class CallAnswer(Answer):
    """What was predicted, strongest first; of a classifier one entry a label."""

    predictions: list[Predicted]

    @classmethod
    def of(cls, found: PredictedPicture | None) -> "CallAnswer":
        if found is None:
            return cls(predictions=[])
        scores = found.scores or ({} if found.label is None else {found.label: 1.0})
        labels = [Predicted(label=label, confidence=score) for label, score in scores.items()]
        boxes = [Predicted(**box.model_dump(include=set(Predicted.model_fields))) for box in found.boxes]
        return cls(predictions=sorted(labels + boxes, key=lambda one: -one.confidence))
