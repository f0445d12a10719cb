"""What a framework can do for a task, as data: the table in the documentation is made from it."""

from dataclasses import dataclass
from typing import Literal

Task = Literal["classify", "detect", "reconstruct", "segment", "pose", "obb"]
"""What a model finds: a label of the picture, upright boxes, the picture itself, masks, keypoints, turned boxes."""

TASKS: tuple[Task, ...] = ("classify", "detect", "reconstruct", "segment", "pose", "obb")
TASK_OF_CONSUMER: dict[str, Task] = {"classifier": "classify", "detector": "detect", "decoder": "reconstruct"}
"""The catalogue's consumers, and the task that a model with such a head does."""

ExportFormat = Literal["onnx", "openvino", "torchscript", "fp16", "int8", "tensorrt"]


@dataclass(frozen=True, slots=True)
class Capabilities:
    """One row of the table. `loop`: whose training loop it is; `resume`: to what point, and how exactly.

    `evaluate`: whether figures are ours (COCO's rules, one confusion matrix) or the framework's own.
    """

    framework: str
    task: Task
    loop: Literal["own", "framework"]
    licence: str
    evaluate: Literal["ours", "framework"] = "ours"
    predict: bool = True
    resume: Literal["exact", "none"] = "exact"
    resume_inside_epochs: bool = False
    export: tuple[ExportFormat, ...] = ()
    distributed: bool = False
    sandbox_only: bool = False
    note: str = ""
