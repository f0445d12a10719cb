"""`/v1/dataset-versions`: immutable lists of pictures with their labels as they were."""

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from studio9_baile.models.learned import DatasetManifest, DatasetVersion
from studio9_baile.usecases import dataset_versions, tiling
from studio9_baile.v1.dependencies import TheCaller, TheCore
from studio9_baile.v1.routing import router
from studio9_baile.v1.wire import Answer, Body, Id, Page, TheSlice, Time, paged
from studio9_common.errors import BadInput
from studio9_task.tiles import TileParameters, TileSpec

routes = router(prefix="/dataset-versions", tag="dataset versions")


class DatasetBody(Body):
    """The album of each split."""

    albums: dict[Literal["train", "val", "test", "predict"], str] = Field(min_length=1)


class ManifestAnswer(Answer):
    """One manifest: JSON lines of picture, content hash, label revision, shapes and split. `url` is good for an
    hour."""

    name: str
    album: str
    pictures: int
    shapes: int
    sha256: str
    size: int
    url: str

    @classmethod
    def of(cls, row: DatasetManifest, url: str) -> "ManifestAnswer":
        return cls(
            name=row.name,
            album=row.album,
            pictures=row.pictures,
            shapes=row.shapes,
            sha256=row.sha256,
            size=row.size,
            url=url,
        )


class DatasetAnswer(Answer):
    """A dataset version; `purpose` is what it was made for."""

    id: str
    purpose: str
    author: str
    pictures: int
    shapes: int
    created_at: Time
    manifests: list[ManifestAnswer] | None = None

    @classmethod
    def of(cls, row: DatasetVersion, manifests: Sequence[tuple[DatasetManifest, str]] | None = None) -> "DatasetAnswer":
        listed = None if manifests is None else [ManifestAnswer.of(one, url) for one, url in manifests]
        return cls(
            id=row.id,
            purpose=row.purpose,
            author=row.author,
            pictures=row.pictures,
            shapes=row.shapes,
            created_at=row.created_at,
            manifests=listed,
        )


class TileBody(Body):
    """How to cut: square tiles of `size` pixels of the picture scaled by `scale`, of which neighbours share `overlap`.
    `padding` says what happens where the grid leaves the picture: the last tiles move back (`shift`), end there
    (`none`), or are filled up with the grey `fill`. More tiles than a worker takes of one job are refused."""

    size: int = Field(640, ge=32, le=8192)
    overlap: int = Field(128, ge=0)
    padding: Literal["shift", "none", "fill"] = "shift"
    fill: int = Field(114, ge=0, le=255)
    scale: float = Field(1.0, gt=0, le=8)
    format: Literal["jpeg", "png"] = "jpeg"
    quality: int = Field(90, ge=1, le=100)

    def parameters(self) -> TileParameters:
        """Those of the task. Raises BadInput for tiles that would not move on."""
        if self.overlap >= self.size:
            fix = f"give less than the size, {self.size}"
            raise BadInput("The tiles overlap by all they are", field="overlap", value=self.overlap, fix=fix)
        spec = TileSpec(size=self.size, overlap=self.overlap, padding=self.padding, fill=self.fill, scale=self.scale)
        return TileParameters(tiles=spec, format=self.format, quality=self.quality)


class Tiling(Answer):
    """A cutting that is queued, and the dataset version that it makes."""

    job: str
    dataset_version: str


@routes.post("", status_code=201)
async def create(body: DatasetBody, core: TheCore, caller: TheCaller) -> DatasetAnswer:
    """Writes down the pictures of albums with their labels as they are now."""
    albums = {str(name): album for name, album in body.albums.items()}
    return DatasetAnswer.of(*await dataset_versions.create_version(core, caller, albums))


@routes.get("", response_model_exclude_none=True)
async def list_versions(wanted: TheSlice, core: TheCore, caller: TheCaller) -> Page[DatasetAnswer]:
    rows = await dataset_versions.list_versions(core, caller, wanted)
    return paged([DatasetAnswer.of(row) for row in rows], [row.id for row in rows], wanted)


@routes.get("/{version_id}")
async def get(version_id: Id, core: TheCore, caller: TheCaller) -> DatasetAnswer:
    return DatasetAnswer.of(*await dataset_versions.get_version(core, caller, version_id))


@routes.delete("/{version_id}", status_code=204)
async def delete(version_id: Id, core: TheCore, caller: TheCaller) -> None:
    """Refused while a job that is not over needs it. What was trained on it, or predicted, stays as it is and names it
    still; its manifests go, and with them the bytes that nothing else shows."""
    await dataset_versions.delete_version(core, caller, version_id)


@routes.post("/{version_id}/tile", status_code=202)
async def tile(version_id: Id, body: TileBody, core: TheCore, caller: TheCaller) -> Tiling:
    """Queues the cutting of all its pictures into tiles. The dataset version that is named is there once the job, which
    `GET /v1/jobs/{job}` tells of, has completed."""
    process = await tiling.tile_version(core, caller, version_id, body.parameters())
    return Tiling(job=process.id, dataset_version=process.target_id)
