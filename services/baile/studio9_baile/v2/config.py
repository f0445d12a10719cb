"""What forms can offer: what can be trained, augmentations, regions, buckets."""

from typing import Any

from studio9_baile.core import Caller, Core
from studio9_baile.usecases.augmentation import AWS_REGIONS, DEFAULTS
from studio9_baile.usecases.deployments import list_buckets
from studio9_baile.usecases.pipeline import CONSUMERS
from studio9_baile.v2.dependencies import TheCaller, TheCore
from studio9_baile.v2.routing import router
from studio9_baile.v2.wire.base import Listed
from studio9_baile.v2.wire.config import BucketAnswer, ConsumerAnswer, PrimitiveAnswer
from studio9_task.catalogue import Consumer

routes = router()
NO_DECODER = ConsumerAnswer(
    id="NONE_OFFERED", name="(none is offered here)", moduleName="", className="", packageName="", isNeural=False
)
"""Not neural: the form does not offer it."""
GONE = {"moduleName": "", "className": "", "packageName": "no worker offers it now"}
"""What a model is made of is named as long as the model is there: the library shows it."""


async def _made_of(core: Core, caller: Caller) -> list[tuple[str, str, str]]:
    """(architecture, head, Salsa's type) that the organisation's models are made of."""
    async with core.database.read(caller.organisation) as work:
        return await work.versions.made_of()


@routes.get("/config/cv-architectures")
async def architectures(core: TheCore, caller: TheCaller) -> list[PrimitiveAnswer]:
    """What needs code of the user's own is not offered: the form has no place for it."""
    catalogue = await core.catalogue.current()
    found = [PrimitiveAnswer.of(one) for one in catalogue.architectures if not catalogue.needs_code(one.framework)]
    known = {one.id for one in found}
    used = {architecture for architecture, _, _ in await _made_of(core, caller)}
    return found + [PrimitiveAnswer(id=one, name=one, **GONE) for one in sorted(used - known)]


async def _consumers(core: Core, caller: Caller, consumer: Consumer) -> list[ConsumerAnswer]:
    catalogue = await core.catalogue.current()
    heads = [one for one in catalogue.heads if not catalogue.needs_code(one.framework)]
    found = [ConsumerAnswer.of_head(one) for one in heads if one.consumer == consumer]
    known = {one.id for one in found}
    used = {head for _, head, tl_type in await _made_of(core, caller) if CONSUMERS.get(tl_type) == consumer}
    return found + [ConsumerAnswer(id=one, name=one, isNeural=False, **GONE) for one in sorted(used - known)]


@routes.get("/config/cv-classifiers")
async def classifiers(core: TheCore, caller: TheCaller) -> list[ConsumerAnswer]:
    return await _consumers(core, caller, "classifier")


@routes.get("/config/cv-detectors")
async def detectors(core: TheCore, caller: TheCaller) -> list[ConsumerAnswer]:
    return await _consumers(core, caller, "detector")


@routes.get("/config/cv-decoders")
async def decoders(core: TheCore, caller: TheCaller) -> list[ConsumerAnswer]:
    """The form for a new experiment of the unmodified UI breaks on an empty list: where no trainer brings a decoder,
    one entry says so. It cannot be trained: an experiment that names it is refused."""
    return await _consumers(core, caller, "decoder") or [NO_DECODER]


@routes.get("/config/cv-data-augmentation-defaults")
async def augmentation_defaults(_caller: TheCaller) -> list[dict[str, Any]]:
    return list(DEFAULTS)


@routes.get("/config/aws-regions")
async def aws_regions(_caller: TheCaller) -> list[str]:
    return list(AWS_REGIONS)


@routes.get("/s3buckets")
async def buckets(core: TheCore, _caller: TheCaller) -> Listed[BucketAnswer]:
    found = await list_buckets(core)
    return Listed(data=[BucketAnswer(id=one.id, name=one.name) for one in found], count=len(found))
