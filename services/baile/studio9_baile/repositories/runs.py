"""Experiments, predictions and deployments."""

from sqlalchemy import Text, cast, or_

from studio9_baile.models.runs import Deployment, Experiment, Prediction
from studio9_baile.repositories.base import AssetRepository


class Experiments(AssetRepository[Experiment]):
    """Experiments."""

    row = Experiment
    missing = "Experiment not found"

    async def using(self, asset: str) -> bool:
        """Whether an album or model is part of an experiment's pipeline or result. (Ids occur nowhere by chance.)"""
        mark = f'"{asset}"'
        return await self.exists(
            or_(cast(Experiment.pipeline, Text).contains(mark), cast(Experiment.result, Text).contains(mark))
        )


class Predictions(AssetRepository[Prediction]):
    """Predictions."""

    row = Prediction
    missing = "CV prediction not found"

    async def using_album(self, album: str) -> bool:
        return await self.exists(or_(Prediction.input == album, Prediction.output == album))

    async def using_model(self, model: str) -> bool:
        return await self.exists(Prediction.model == model)


class Deployments(AssetRepository[Deployment]):
    """Deployments (online jobs)."""

    row = Deployment
    missing = "Online job not found"
    sortable = ("name", "created", "updated", "enabled")

    async def using_album(self, album: str) -> bool:
        return await self.exists(Deployment.output == album)

    async def using_model(self, model: str) -> bool:
        return await self.exists(Deployment.model == model)
