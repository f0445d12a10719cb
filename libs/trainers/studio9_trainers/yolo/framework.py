"""What YOLO offers, as data; importing this imports neither torch nor Ultralytics."""

from typing import Any

from studio9_task.catalogue import Architecture, Consumer, FloatParameter, Head, ParameterDefinition
from studio9_trainers.capabilities import COMPUTED, SMALLER, Capabilities, Task
from studio9_trainers.frameworks import Framework
from studio9_trainers.offered import common_parameters, installed, loop_parameters, mirror_parameter, scale_parameter
from studio9_trainers.trainer import Order, Trainer
from studio9_trainers.yolo.zoo import fitting, model_files, shown

NAME = "yolo"
HEAD = "YOLO_HEAD"
SHAPES: tuple[Task, ...] = ("segment", "pose", "obb")
HEADS: dict[Task, str] = {"detect": HEAD, "segment": "YOLO_SEGMENT", "pose": "YOLO_POSE", "obb": "YOLO_OBB"}
CLASSIFIER = "YOLO_CLASSIFIER"
LICENCE = "AGPL-3.0"

TRAINING: tuple[ParameterDefinition, ...] = (
    *common_parameters(),
    FloatParameter(
        name="mosaic", description="How often four pictures are put together as one", defaults=(0.0,), min=0.0, max=1.0
    ),
    mirror_parameter(),
    scale_parameter(),
)


def _capabilities() -> tuple[Capabilities, ...]:
    found = []
    if detecting := fitting("detect"):
        found.append(
            Capabilities(
                framework=NAME,
                task="detect",
                loop="framework",
                licence=LICENCE,
                distributed=True,
                export=SMALLER,
                note=f"{len(detecting)} architectures",
            )
        )
    for task in SHAPES:
        if models := fitting(task):
            found.append(
                Capabilities(
                    framework=NAME,
                    task=task,
                    loop="framework",
                    licence=LICENCE,
                    distributed=True,
                    evaluate="framework",
                    export=COMPUTED,
                    note=f"{len(models)} architectures; ours are the figures of the boxes around",
                )
            )
    if classifying := fitting("classify"):
        found.append(
            Capabilities(
                framework=NAME,
                task="classify",
                loop="own",
                licence=LICENCE,
                distributed=True,
                export=COMPUTED,
                resume_inside_epochs=True,
                note=f"{len(classifying)} architectures",
            )
        )
    return tuple(found)


def _trainer(task: Task, order: Order) -> Trainer:
    if task == "classify":
        from studio9_trainers.yolo.classify import YoloClassification

        return YoloClassification(task, order)
    from studio9_trainers.yolo.trainer import YoloTrainer

    return YoloTrainer(task, order)


_OTHERS: dict[Task, tuple[str, Consumer, str]] = {
    "segment": ("YOLO with masks", "segmenter", "Segment"),
    "pose": ("YOLO with keypoints", "pose_estimator", "Pose"),
    "obb": ("YOLO with turned boxes", "turned_detector", "OBB"),
}
_OWN: dict[str, Any] = {"framework": NAME, "package": "ultralytics", "package_version": installed("ultralytics")}

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
        *(
            Head(
                id=HEADS[task],
                name=name,
                consumer=consumer,
                architectures=fitting(task),
                module="ultralytics.nn.modules.head",
                class_name=made,
                parameters=TRAINING,
                **_OWN,
            )
            for task, (name, consumer, made) in _OTHERS.items()
        ),
        Head(
            id=CLASSIFIER,
            name="YOLO classifier",
            consumer="classifier",
            architectures=fitting("classify"),
            module="ultralytics.nn.modules.head",
            class_name="Classify",
            parameters=(
                *common_parameters(epochs=20, batch_size=16),
                *loop_parameters(),
                mirror_parameter(),
                scale_parameter(0.1),
            ),
            **_OWN,
        ),
    ),
    capabilities=_capabilities,
    trainer=_trainer,
)
