"""What YOLO offers, as data; importing this imports neither torch nor Ultralytics."""

from importlib.metadata import PackageNotFoundError, version
from typing import Any

from studio9_task.catalogue import Architecture, FloatParameter, Head, ParameterDefinition
from studio9_trainers.capabilities import TASKS, Capabilities, Task
from studio9_trainers.frameworks import Framework, usual_tasks
from studio9_trainers.offered import common_parameters, mirror_parameter, scale_parameter
from studio9_trainers.trainer import Order, Trainer
from studio9_trainers.yolo.zoo import fitting, model_files, shown

NAME = "yolo"
HEAD = "YOLO_HEAD"
LICENCE = "AGPL-3.0"

TRAINING: tuple[ParameterDefinition, ...] = (
    *common_parameters(),
    FloatParameter(
        name="mosaic", description="How often four pictures are put together as one", defaults=(0.0,), min=0.0, max=1.0
    ),
    mirror_parameter(),
    scale_parameter(),
)


def _version() -> str | None:
    try:
        return version("ultralytics")
    except PackageNotFoundError:
        return None


def _capabilities() -> tuple[Capabilities, ...]:
    return tuple(
        Capabilities(
            framework=NAME,
            task=task,
            loop="framework",
            licence=LICENCE,
            export=("onnx", "openvino", "torchscript", "fp16", "int8", "tensorrt"),
            note=f"{len(architectures)} architectures",
        )
        for task in TASKS
        if task in ("detect",) and (architectures := fitting(task))
    )


def _trainer(task: Task, order: Order) -> Trainer:
    from studio9_trainers.yolo.trainer import YoloTrainer

    return YoloTrainer(task, order)


_OWN: dict[str, Any] = {"framework": NAME, "package": "ultralytics", "package_version": _version()}

FRAMEWORK = Framework(
    name=NAME,
    architectures=tuple(
        Architecture(id=key, name=shown(key), module="ultralytics.nn.tasks", class_name="DetectionModel", **_OWN)
        for key in model_files()
    ),
    heads=(
        Head(
            id=HEAD,
            name="YOLO",
            consumer="detector",
            architectures=fitting("detect"),
            module="ultralytics.nn.modules.head",
            class_name="Detect",
            parameters=TRAINING,
            **_OWN,
        ),
    ),
    tasks=usual_tasks(NAME),
    capabilities=_capabilities,
    trainer=_trainer,
)
