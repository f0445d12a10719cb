"""What forms can offer: what can be trained, augmentations, regions, buckets."""

from typing import Any

from studio9_baile.usecases.augmentation import AWS_REGIONS, DEFAULTS
from studio9_baile.usecases.deployments import list_buckets
from studio9_baile.v2.dependencies import TheCaller, TheCore
from studio9_baile.v2.routing import router
from studio9_baile.v2.wire.base import Listed
from studio9_baile.v2.wire.config import BucketAnswer, ConsumerAnswer, PrimitiveAnswer
from studio9_task.catalogue import Consumer

routes = router()
NO_DECODER = ConsumerAnswer(
    id="NONE_OFFERED", name="(none is offered here)", moduleName="", className="", packageName="", isNeural=True
)


@routes.get("/config/cv-architectures")
async def architectures(core: TheCore, _caller: TheCaller) -> list[PrimitiveAnswer]:
    return [PrimitiveAnswer.of(one) for one in (await core.catalogue.current()).architectures]


async def _consumers(core: TheCore, consumer: Consumer) -> list[ConsumerAnswer]:
    heads = (await core.catalogue.current()).heads
    return [ConsumerAnswer.of_head(one) for one in heads if one.consumer == consumer]


@routes.get("/config/cv-classifiers")
async def classifiers(core: TheCore, _caller: TheCaller) -> list[ConsumerAnswer]:
    return await _consumers(core, "classifier")


@routes.get("/config/cv-detectors")
async def detectors(core: TheCore, _caller: TheCaller) -> list[ConsumerAnswer]:
    return await _consumers(core, "detector")


@routes.get("/config/cv-decoders")
async def decoders(core: TheCore, _caller: TheCaller) -> list[ConsumerAnswer]:
    """The form for a new experiment of the unmodified UI breaks on an empty list: where no trainer brings a decoder,
    one entry says so. It cannot be trained: an experiment that names it is refused."""
    return await _consumers(core, "decoder") or [NO_DECODER]


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
