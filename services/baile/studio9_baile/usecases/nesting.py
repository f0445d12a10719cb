"""What a share opens besides its asset: what that asset's page shows. Never more than what belongs to who gave it."""

from collections.abc import Iterator, Mapping
from typing import Any

from studio9_baile.models.library import Share
from studio9_baile.repositories.work import Work
from studio9_baile.usecases.changes import Kind

_ALBUMS = ("input", "testInput", "output", "testOutput", "augmentedSampleAlbum")
_MODELS = ("cvModelId", "featureExtractorModelId")


async def opens(work: Work, share: Share, kind: str, asset: str) -> bool:
    """Whether a share opens an asset: its own, or one that it depends on."""
    if (share.kind, share.asset) == (kind, asset):
        return True
    match share.kind:
        case Kind.CV_PREDICTION:
            prediction = await work.predictions.find(share.asset)
            if prediction is None:
                return False
            parts = {(Kind.CV_MODEL, prediction.model), (Kind.ALBUM, prediction.input), (Kind.ALBUM, prediction.output)}
            return (kind, asset) in parts
        case Kind.EXPERIMENT:
            experiment = await work.experiments.find(share.asset)
            if experiment is None:
                return False
            return (kind, asset) in set(_named(experiment.pipeline)) | set(_named(experiment.result or {}))
        case Kind.CV_MODEL:
            version = await work.versions.latest_of(share.asset)
            extractor = await work.versions.find(version.feature_extractor) if version.feature_extractor else None
            return extractor is not None and (kind, asset) == (Kind.CV_MODEL, extractor.model)
        case Kind.ONLINE_JOB:
            deployment = await work.deployments.find(share.asset)
            if deployment is None:
                return False
            return (kind, asset) in {(Kind.CV_MODEL, deployment.model), (Kind.ALBUM, deployment.output)}
    return False


def _named(steps: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The albums and models that an experiment's pipeline or result names."""
    for step in steps.values():
        if not isinstance(step, Mapping):
            continue
        yield from ((Kind.ALBUM, step[name]) for name in _ALBUMS if step.get(name))
        yield from ((Kind.CV_MODEL, step[name]) for name in _MODELS if step.get(name))
