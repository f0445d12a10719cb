"""What RT-DETR offers, as data; importing this imports neither torch nor transformers."""

from typing import Any

from studio9_task.catalogue import Architecture, IntParameter
from studio9_trainers.capabilities import COMPUTED, Capabilities, Task
from studio9_trainers.frameworks import Framework
from studio9_trainers.offered import installed, query_head
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
_QUERIES = IntParameter(
    name="queries", description="The most boxes it can find in a picture", defaults=(60,), min=10, max=1000, step=1
)

FRAMEWORK = Framework(
    name=NAME,
    architectures=tuple(Architecture(id=key, name=name, **_OWN) for key, name in ARCHITECTURES.items()),
    heads=(query_head(_OWN, HEAD, "RT-DETR", ARCHITECTURES, _QUERIES, rate=0.002),),
    capabilities=_capabilities,
    trainer=_trainer,
)
