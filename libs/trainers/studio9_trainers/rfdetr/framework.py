"""What RF-DETR offers, as data, where the installed transformers has it; importing this imports neither of them."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from studio9_task.catalogue import Architecture, IntParameter
from studio9_trainers.capabilities import COMPUTED, Capabilities, Task
from studio9_trainers.frameworks import Framework
from studio9_trainers.offered import installed, query_head
from studio9_trainers.trainer import Order, Trainer

NAME = "rfdetr"
HEAD = "RF_DETR"
LICENCE = "Apache-2.0"
PUBLISHED = {
    "RFDETR_NANO": "RF-DETR nano",
    "RFDETR_SMALL": "RF-DETR small",
    "RFDETR_MEDIUM": "RF-DETR medium",
    "RFDETR_LARGE": "RF-DETR large",
}
"""Those with published weights under the same licence; those of the two still larger ones are under another."""
ARCHITECTURES = {"RFDETR_TINY": "RF-DETR tiny, for small sets and processors", **PUBLISHED}

CAPABILITIES = Capabilities(
    framework=NAME,
    task="detect",
    loop="own",
    licence=LICENCE,
    export=COMPUTED,
    resume_inside_epochs=True,
    distributed=True,
    note="begins with published weights where they are given",
)


def has_it() -> bool:
    """Whether the installed transformers brings RF-DETR (early ones don't); looked up on the disk."""
    spec = find_spec("transformers")
    if spec is None or spec.origin is None:
        return False
    return (Path(spec.origin).parent / "models" / "rf_detr" / "modeling_rf_detr.py").is_file()


def _capabilities() -> tuple[Capabilities, ...]:
    return (CAPABILITIES,) if has_it() else ()


def _trainer(task: Task, order: Order) -> Trainer:
    from studio9_trainers.rfdetr.trainer import RfDetrTrainer

    return RfDetrTrainer(task, order)


_OWN: dict[str, Any] = {
    "framework": NAME,
    "package": "transformers",
    "package_version": installed("transformers"),
    "module": "transformers.models.rf_detr.modeling_rf_detr",
    "class_name": "RfDetrForObjectDetection",
}
_QUERIES = IntParameter(
    name="queries",
    description="The most boxes it can find in a picture; published weights know 300",
    defaults=(300,),
    min=10,
    max=300,
    step=1,
)

FRAMEWORK = Framework(
    name=NAME,
    architectures=tuple(Architecture(id=key, name=name, **_OWN) for key, name in ARCHITECTURES.items()),
    heads=(query_head(_OWN, HEAD, "RF-DETR", ARCHITECTURES, _QUERIES, rate=5e-4),),
    capabilities=_capabilities,
    trainer=_trainer,
)
