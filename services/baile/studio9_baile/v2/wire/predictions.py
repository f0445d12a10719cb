"""CV predictions."""

from typing import Any

from studio9_baile.models.runs import Prediction, PredictionStatus
from studio9_baile.v2.wire.base import Answer, Body, Moment, Number
from studio9_baile.v2.wire.experiments import LabelBody
from studio9_baile.v2.wire.results import EvaluationTimes, PredictionTimes, Summary


class PredictionAnswer(Answer):
    id: str
    ownerId: str
    name: str
    status: PredictionStatus
    created: Moment
    updated: Moment
    modelId: str
    input: str
    output: str
    probabilityPredictionTableId: str | None = None
    summary: Summary | None = None
    description: str | None = None
    predictionTimeSpentSummary: PredictionTimes | None = None
    evaluationTimeSpentSummary: EvaluationTimes | None = None

    @classmethod
    def of(cls, prediction: Prediction) -> "PredictionAnswer":
        times: dict[str, Any] = prediction.times or {}
        done = prediction.status is PredictionStatus.DONE
        return cls.model_validate(
            {
                "id": prediction.id,
                "ownerId": prediction.owner,
                "name": prediction.name,
                "status": prediction.status,
                "created": prediction.created_at,
                "updated": prediction.updated_at,
                "modelId": prediction.model,
                "input": prediction.input,
                "output": prediction.output,
                "probabilityPredictionTableId": prediction.output if done else None,
                "summary": prediction.summary,
                "description": prediction.description,
                **times,
            }
        )


class OptionsBody(Body):
    loi: list[LabelBody] | None = None
    defaultVisualThreshold: Number | None = None
    iouThreshold: Number | None = None


class NewPredictionBody(Body):
    modelId: str
    input: str
    name: str | None = None
    outputAlbumName: str | None = None
    description: str | None = None
    evaluate: bool | None = None
    options: OptionsBody | None = None
