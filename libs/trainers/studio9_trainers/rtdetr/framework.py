"""What RT-DETR offers, as data; importing this imports neither torch nor transformers."""

from typing import Any

from studio9_task.catalogue import Architecture, Head, IntParameter
from studio9_trainers.capabilities import COMPUTED, Capabilities, Task
from studio9_trainers.frameworks import Framework
from studio9_trainers.offered import common_parameters, installed, loop_parameters, mirror_parameter, scale_parameter
from studio9_trainers.trainer import Order, Trainer

NAME = "rtdetr"
HEAD = "RT_DETR"
LICENCE = "Apache-2.0"
ARCHITECTURES = {
    "RTDETR_S": "RT-DETR small, for small sets and processors",
    "RTDETR_R18": "RT-DETR on ResNet-18",
    "RTDETR_R50": "RT-DETR on ResNet-50",
}
CAPABILITIES = Capabilities(
    framework=NAME,
    task="detect",
    loop="own",
    licence=LICENCE,
    export=COMPUTED,
    resume_inside_epochs=True,
    distributed=True,
)


def _capabilities() -> tuple[Capabilities, ...]:
    return (CAPABILITIES,) if installed("transformers") else ()


def _trainer(task: Task, order: Order) -> Trainer:
    from studio9_trainers.rtdetr.trainer import RtDetrTrainer

    return RtDetrTrainer(task, order)


_OWN: dict[str, Any] = {
    "framework": NAME,
    "package": "transformers",
    "package_version": installed("transformers"),
    "module": "transformers.models.rt_detr.modeling_rt_detr",
    "class_name": "RTDetrForObjectDetection",
}

FRAMEWORK = Framework(
    name=NAME,
    architectures=tuple(Architecture(id=key, name=name, **_OWN) for key, name in ARCHITECTURES.items()),
    heads=(
        Head(
            id=HEAD,
            name="RT-DETR",
            consumer="detector",
            architectures=tuple(ARCHITECTURES),
            parameters=(
                *common_parameters(epochs=25, batch_size=8, rate=0.002, optimizers=("AdamW",)),
                *loop_parameters(clip_norm=0.1, weight_decay=1e-4),
                IntParameter(
                    name="queries",
                    description="The most boxes it can find in a picture",
                    defaults=(60,),
                    min=10,
                    max=1000,
                    step=1,
                ),
                mirror_parameter(),
                scale_parameter(0.05),
            ),
            **_OWN,
        ),
    ),
    capabilities=_capabilities,
    trainer=_trainer,
)
