"""What YOLO offers, as data; importing this imports neither torch nor Ultralytics."""

from importlib.metadata import PackageNotFoundError, version

from studio9_task.catalogue import (
    Architecture,
    FloatParameter,
    Head,
    IntParameter,
    ParameterDefinition,
    StringParameter,
    TaskInput,
    TaskKind,
)
from studio9_trainers.trainer import Framework, Trainer

NAME = "yolo"
HEAD = "YOLO_HEAD"

MODEL_FILES = {
    "YOLO8N": ("YOLO8 nano", "yolov8n.yaml"),
    "YOLO8S": ("YOLO8 small", "yolov8s.yaml"),
    "YOLO11N": ("YOLO11 nano", "yolo11n.yaml"),
    "YOLO11S": ("YOLO11 small", "yolo11s.yaml"),
    "YOLO11M": ("YOLO11 medium", "yolo11m.yaml"),
}
"""Id: (what people read, Ultralytics' model file)."""

TRAINING: tuple[ParameterDefinition, ...] = (
    IntParameter(name="epochs", description="How often every picture is seen", defaults=(25,), min=1, max=3000, step=1),
    IntParameter(name="batch_size", description="Pictures a step", defaults=(8,), min=1, max=512, step=1),
    StringParameter(
        name="optimizer", description="How weights are moved", options=("AdamW", "SGD"), defaults=("AdamW",)
    ),
    IntParameter(
        name="patience",
        description="Epochs without a better validation before it ends; 0: never",
        defaults=(0,),
        min=0,
        max=3000,
        step=1,
    ),
    IntParameter(
        name="seed", description="Same seed, same model; left out: the job's own", min=0, max=2**31 - 1, step=1
    ),
    FloatParameter(
        name="recipe_learning_rate",
        description="The rate that both parts learn at unless the form's own rates are changed",
        defaults=(0.002,),
        min=1e-7,
        max=1.0,
    ),
    FloatParameter(
        name="validation_fraction",
        description="Part of the training pictures that is held back to choose the best epoch",
        defaults=(0.1,),
        min=0.01,
        max=0.5,
    ),
    FloatParameter(
        name="mosaic", description="How often four pictures are put together as one", defaults=(0.0,), min=0.0, max=1.0
    ),
    FloatParameter(
        name="mirror",
        description="How often a picture is mirrored left to right; not for text",
        defaults=(0.0,),
        min=0.0,
        max=0.5,
    ),
    FloatParameter(name="scale", description="How much a picture's size is varied", defaults=(0.2,), min=0.0, max=0.9),
)


def _version() -> str | None:
    try:
        return version("ultralytics")
    except PackageNotFoundError:
        return None


def _trainer() -> Trainer:
    from studio9_trainers.yolo.trainer import YoloTrainer

    return YoloTrainer()


_OWN = {"framework": NAME, "package": "ultralytics", "package_version": _version()}

FRAMEWORK = Framework(
    name=NAME,
    architectures=tuple(
        Architecture(id=key, name=name, module="ultralytics.nn.tasks", class_name="DetectionModel", **_OWN)
        for key, (name, _) in MODEL_FILES.items()
    ),
    heads=(
        Head(
            id=HEAD,
            name="YOLO",
            consumer="detector",
            architectures=tuple(MODEL_FILES),
            module="ultralytics.nn.modules.head",
            class_name="Detect",
            parameters=TRAINING,
            **_OWN,
        ),
    ),
    tasks=(
        TaskKind(
            kind="train",
            framework=NAME,
            inputs=(
                TaskInput(name="train", holds="pictures"),
                TaskInput(name="val", holds="pictures", required=False),
                TaskInput(name="test", holds="pictures", required=False),
                TaskInput(name="model", holds="model", required=False),
                TaskInput(name="checkpoint", holds="checkpoint", required=False),
            ),
        ),
        TaskKind(
            kind="evaluate",
            framework=NAME,
            inputs=(TaskInput(name="model", holds="model"), TaskInput(name="test", holds="pictures")),
        ),
        TaskKind(
            kind="predict",
            framework=NAME,
            inputs=(TaskInput(name="model", holds="model"), TaskInput(name="predict", holds="pictures")),
        ),
    ),
    trainer=_trainer,
)
