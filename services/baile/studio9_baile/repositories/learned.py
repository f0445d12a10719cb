"""Dataset versions, models and model versions."""

from collections.abc import Collection

from studio9_baile.models.learned import DatasetManifest, DatasetVersion, Model, ModelVersion
from studio9_baile.repositories.base import CHUNK, AssetRepository, Repository


class DatasetVersions(Repository[DatasetVersion]):
    """Dataset versions."""

    row = DatasetVersion
    missing = "Dataset version not found"


class DatasetManifests(Repository[DatasetManifest]):
    """Manifests of dataset versions."""

    row = DatasetManifest

    async def of(self, version: str) -> dict[str, DatasetManifest]:
        """The manifests of a version by name."""
        return {row.name: row for row in await self.all(DatasetManifest.dataset_version == version)}


class Models(AssetRepository[Model]):
    """Models."""

    row = Model
    missing = "CV model not found"


class ModelVersions(Repository[ModelVersion]):
    """Versions of models."""

    row = ModelVersion
    missing = "Model version not found"

    async def latest(self, models: Collection[str]) -> dict[str, ModelVersion]:
        """The newest version of each model."""
        found: dict[str, ModelVersion] = {}
        wanted = list(models)
        for start in range(0, len(wanted), CHUNK):
            chunk = wanted[start : start + CHUNK]
            rows = await self._session.scalars(
                self.select(ModelVersion.model.in_(chunk)).order_by(ModelVersion.model, ModelVersion.number)
            )
            found.update({row.model: row for row in rows})
        return found

    async def latest_of(self, model: str) -> ModelVersion:
        statement = self.select(ModelVersion.model == model).order_by(ModelVersion.number.desc()).limit(1)
        found = await self._session.scalar(statement)
        if found is None:
            raise ValueError(f"the model {model} has no version")
        return found
