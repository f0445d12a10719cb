"""Dataset versions, code packages, models and model versions."""

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import ColumnElement, and_, exists, func, select
from sqlalchemy.orm import aliased, defer

from studio9_baile.models.identity import Organisation
from studio9_baile.models.learned import (
    CodePackage,
    DatasetManifest,
    DatasetObject,
    DatasetVersion,
    Model,
    ModelVersion,
)
from studio9_baile.repositories.base import CHUNK, AssetRepository, Repository, Slice
from studio9_common.errors import NotFound


class DatasetVersions(Repository[DatasetVersion]):
    """Dataset versions that are not deleted."""

    row = DatasetVersion
    missing = "Dataset version not found"

    @classmethod
    def rows_of(cls, organisation: Any) -> ColumnElement[bool]:
        return and_(super().rows_of(organisation), DatasetVersion.deleted_at.is_(None))

    async def hand_over(self, user: str, heir: str) -> None:
        """A user's dataset versions go to another."""
        await self._session.execute(self.update(DatasetVersion.author == user).values(author=heir))


class DatasetManifests(Repository[DatasetManifest]):
    """Manifests of dataset versions."""

    row = DatasetManifest

    async def of(self, version: str) -> dict[str, DatasetManifest]:
        """The manifests of a version by name."""
        return {row.name: row for row in await self.all(DatasetManifest.dataset_version == version)}

    async def unlisted(self) -> list[DatasetManifest]:
        """Those of the versions of which no rows say which objects they hold."""
        listed = select(DatasetVersion.id).where(
            DatasetVersion.organisation == self.organisation, DatasetVersion.listed
        )
        return await self.all(DatasetManifest.dataset_version.not_in(listed))


class DatasetObjects(Repository[DatasetObject]):
    """Which objects dataset versions hold."""

    row = DatasetObject

    async def note(self, version: str, sizes: Mapping[str, int]) -> None:
        """A version holds objects, at most CHUNK, of these hashes and sizes; what is noted already is left as it is."""
        statement = select(DatasetObject.sha256).where(
            self.mine, DatasetObject.dataset_version == version, DatasetObject.sha256.in_(sizes)
        )
        there = set(await self._session.scalars(statement))
        for sha256, size in sizes.items():
            if sha256 not in there:
                self.make(dataset_version=version, sha256=sha256, size=size)

    async def stored(self, hashes: Collection[str]) -> set[str]:
        """Those of these hashes, at most CHUNK, that a version holds, be it in its making."""
        statement = select(DatasetObject.sha256).where(self.mine, DatasetObject.sha256.in_(hashes))
        return set(await self._session.scalars(statement))

    async def sole_bytes(self, version: str) -> int:
        """Bytes of the objects of a version that no other listed one holds. Versions that share objects are looked at
        one after the other: the organisation's row is locked from here on, as by the numbers of events."""
        organisation = select(Organisation.id).where(Organisation.id == self.organisation)
        await self._session.execute(organisation.with_for_update(key_share=True))
        other = aliased(DatasetObject)
        elsewhere = exists().where(
            other.organisation == self.organisation,
            other.sha256 == DatasetObject.sha256,
            other.dataset_version != version,
            DatasetVersion.id == other.dataset_version,
            DatasetVersion.listed,
            DatasetVersion.deleted_at.is_(None),
        )
        total = select(func.sum(DatasetObject.size)).where(
            self.mine, DatasetObject.dataset_version == version, ~elsewhere
        )
        return int(await self._session.scalar(total) or 0)

    async def without_version(self) -> set[str]:
        """The versions of which objects are noted, and that are not there (yet, or any more)."""
        statement = select(DatasetObject.dataset_version).where(self.mine, self._of_nobody).distinct()
        return set(await self._session.scalars(statement))

    async def forget(self, version: str, *, unless_there: bool = False) -> None:
        """A version holds nothing (any more)."""
        where = [DatasetObject.dataset_version == version]
        await self._session.execute(self.delete_where(*where, *([self._of_nobody] if unless_there else [])))

    @property
    def _of_nobody(self) -> ColumnElement[bool]:
        return ~exists().where(
            DatasetVersion.organisation == self.organisation,
            DatasetVersion.id == DatasetObject.dataset_version,
            DatasetVersion.deleted_at.is_(None),
        )


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
