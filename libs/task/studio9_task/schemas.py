"""The contract as JSON schemas, for trainers that are not written in Python."""

from typing import Any

from studio9_task.analysis import AnalyseParameters, Analysis
from studio9_task.augmentations import AugmentedRecord, AugmentParameters
from studio9_task.catalogue import Catalogue
from studio9_task.children import Asked
from studio9_task.events import EVENT
from studio9_task.exits import ExitRecord
from studio9_task.frames import FrameRecord, FramesParameters
from studio9_task.judgement import ClassificationReport, EvaluationReport, JudgedPicture
from studio9_task.parameters import EvaluateParameters, PredictParameters, TrainParameters
from studio9_task.pictures import PictureRecord
from studio9_task.request import TaskRequest
from studio9_task.results import RESULT, PredictedPicture
from studio9_task.tiles import TileParameters
from studio9_task.tuning import TrialParameters, TuneParameters
from studio9_task.videos import VideoParameters


def json_schemas() -> dict[str, dict[str, Any]]:
    """File or part of the contract: its JSON schema (draft 2020-12)."""
    return {
        "request": TaskRequest.model_json_schema(),
        "parameters.train": TrainParameters.model_json_schema(),
        "parameters.evaluate": EvaluateParameters.model_json_schema(),
        "parameters.predict": PredictParameters.model_json_schema(),
        "parameters.augment": AugmentParameters.model_json_schema(),
        "parameters.analyse": AnalyseParameters.model_json_schema(),
        "parameters.frames": FramesParameters.model_json_schema(),
        "parameters.video": VideoParameters.model_json_schema(),
        "parameters.tile": TileParameters.model_json_schema(),
        "parameters.tune": TuneParameters.model_json_schema(),
        "parameters.trial": TrialParameters.model_json_schema(),
        "children": Asked.model_json_schema(),
        "picture": PictureRecord.model_json_schema(),
        "event": EVENT.json_schema(),
        "result": RESULT.json_schema(),
        "augmented": AugmentedRecord.model_json_schema(),
        "frame": FrameRecord.model_json_schema(),
        "report": EvaluationReport.model_json_schema(),
        "report.classification": ClassificationReport.model_json_schema(),
        "judged": JudgedPicture.model_json_schema(),
        "analysis": Analysis.model_json_schema(),
        "prediction": PredictedPicture.model_json_schema(),
        "catalogue": _catalogue(),
        "exit": ExitRecord.model_json_schema(),
    }


def _catalogue() -> dict[str, Any]:
    """As it is printed: see studio9_task.sharing."""
    schema = Catalogue.model_json_schema()
    own = schema["$defs"]["Architecture"]["properties"]["parameters"]["items"]
    place = {"type": "integer", "minimum": 0, "description": "the place in `shared` of what belongs here, from 0"}
    schema["properties"]["shared"] = {"type": "array", "items": own, "default": []}
    for part in ("Architecture", "Head", "TaskKind"):
        schema["$defs"][part]["properties"]["parameters"]["items"] = {"anyOf": [own, place]}
    return schema
