"""Dataset versions, code packages, models and model versions."""

from collections.abc import Collection

from sqlalchemy import func, select
from sqlalchemy.orm import defer

from studio9_baile.models.learned import CodePackage, DatasetManifest, DatasetVersion, Model, ModelVersion
from studio9_baile.repositories.base import CHUNK, AssetRepository, Repository, Slice
from studio9_common.errors import NotFound


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


class CodePackages(Repository[CodePackage]):
    """Packages of code."""

    row = CodePackage
    missing = "Code package not found"

    async def head(self, identifier: str) -> CodePackage:
        """A package without the names of its files, which may be thousands. Raises NotFound."""
        statement = self.select(CodePackage.id == identifier).options(defer(CodePackage.files))
        found = await self._session.scalar(statement)
        if found is None:
            raise NotFound(self.missing)
        return found

    async def heads(self, owner: str, wanted: Slice) -> list[CodePackage]:
        """A user's packages without the names of their files, newest first."""
        statement = self.select(CodePackage.owner == owner).options(defer(CodePackage.files))
        statement = statement.order_by(CodePackage.id.desc()).limit(wanted.limit)
        return await self.rows(statement if wanted.before is None else statement.where(CodePackage.id < wanted.before))

    async def stored(self, hashes: Collection[str]) -> set[str]:
        """Those of these hashes, at most CHUNK, that a package has."""
        statement = select(CodePackage.sha256).where(self.mine, CodePackage.sha256.in_(hashes))
        return set(await self._session.scalars(statement))

    async def hand_over(self, user: str, heir: str | None) -> None:
        """A user's packages go to another; without one there is no model that needs them, and they are removed."""
        mine = CodePackage.owner == user
        await self._session.execute(self.delete_where(mine) if heir is None else self.update(mine).values(owner=heir))

    async def stored_bytes(self) -> int:
        """Bytes of all packages."""
        return int(await self._session.scalar(select(func.sum(CodePackage.size)).where(self.mine)) or 0)


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

    async def of(self, model: str, identifier: str) -> ModelVersion:
        """One version of a model. Raises NotFound."""
        version = await self.get(identifier)
        if version.model != model:
            raise NotFound(self.missing)
        return version

    async def made_of(self) -> list[tuple[str, str, str]]:
        """(architecture, head, Salsa's type) of all versions, each once."""
        columns = (ModelVersion.architecture, ModelVersion.head, ModelVersion.tl_type)
        rows = await self._session.execute(select(*columns).where(self.mine).distinct().order_by(*columns))
        return [(architecture, head, tl_type) for architecture, head, tl_type in rows]

    async def next_number(self, model: str) -> int:
        """The number of a model's next version. The model's row must be locked."""
        statement = select(func.max(ModelVersion.number)).where(self.mine, ModelVersion.model == model)
        return (await self._session.scalar(statement) or 0) + 1

    async def stored_bytes(self) -> int:
        """Bytes of all weights."""
        return int(await self._session.scalar(select(func.sum(ModelVersion.artifact_size)).where(self.mine)) or 0)

    async def latest_of(self, model: str) -> ModelVersion:
        """The newest version of a model. Raises NotFound for one that was never trained."""
        statement = self.select(ModelVersion.model == model).order_by(ModelVersion.number.desc()).limit(1)
        found = await self._session.scalar(statement)
        if found is None:
            raise NotFound("CV model has no version yet", fix="train it first")
        return found
