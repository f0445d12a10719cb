"""Deployments: a model put to work on new pictures of a watched place. All of the organisation may manage them."""

from typing import Any

from studio9_baile.bell import CONFIG
from studio9_baile.core import Caller, Core
from studio9_baile.models.learned import Model, ModelVersion, Stage
from studio9_baile.models.pictures import AlbumType
from studio9_baile.models.records import BucketRow
from studio9_baile.models.runs import Deployment
from studio9_baile.repositories.work import Work
from studio9_baile.security.names import text
from studio9_baile.usecases.albums import NewAlbum, add_album
from studio9_baile.usecases.assets import check_name, name_of
from studio9_baile.usecases.changes import Kind, changed, made_from
from studio9_baile.usecases.code_packages import code_of
from studio9_baile.usecases.predictions import OUTPUT_MODES, usable_model, weights
from studio9_common.contracts.configuration import StreamConfig
from studio9_common.contracts.job import Input
from studio9_common.errors import BadInput
from studio9_task.problems import shown

LONGEST_PREFIX = 900


async def create_deployment(
    core: Core,
    caller: Caller,
    *,
    name: str | None,
    description: str | None,
    model: str,
    bucket: str,
    prefix: str,
    album_name: str | None,
    enabled: bool,
) -> Deployment:
    """Puts a model to work. Taurus begins when Argo has been told, which happens at once or is tried again."""
    wanted = name_of(Kind.ONLINE_JOB, name)
    place = await _bucket(core, bucket)
    watched = _prefix(prefix)
    output_name = name_of(Kind.ALBUM, album_name, "options.outputAlbumName")
    async with core.database.write(caller.organisation) as work:
        await check_name(work, Kind.ONLINE_JOB, caller.user, wanted)
        await check_name(work, Kind.ALBUM, caller.user, output_name, field="options.outputAlbumName")
        found, version = await usable_model(work, caller, model, "target.id", "Model of the online job was not found")
        album = add_album(
            work,
            caller.user,
            NewAlbum(name=output_name, label_mode=OUTPUT_MODES[version.tl_type], type=AlbumType.DERIVED),
        )
        await work.flush()
        deployment = work.deployments.make(
            owner=caller.user,
            name=wanted,
            description=text(description, "description"),
            enabled=enabled,
            model=found.id,
            model_version=version.id,
            bucket=place.id,
            prefix=watched,
            output=album.id,
        )
        version.stage = Stage.deployed
        made_from(work, Kind.ALBUM, album.id, Kind.MODEL_VERSION, version.id, "predicted_by")
        _tell(work, deployment, _config(deployment, found, version, place, await code_of(work, version)))
        changed(work, Kind.ONLINE_JOB, deployment.id, "created", by=caller)
        changed(work, Kind.ALBUM, album.id, "created", status=album.status)
    return deployment


async def get_deployment(core: Core, caller: Caller, identifier: str) -> Deployment:
    """One deployment of the organisation."""
    async with core.database.read(caller.organisation) as work:
        return await work.deployments.get(identifier)


async def update_deployment(
    core: Core, caller: Caller, identifier: str, *, name: str | None, description: str | None, enabled: bool | None
) -> Deployment:
    """Renames a deployment, or switches it on or off."""
    places = await _places(core)
    async with core.database.write(caller.organisation) as work:
        deployment = await work.deployments.get(identifier, lock=True)
        if name is not None:
            wanted = name_of(Kind.ONLINE_JOB, name)
            await check_name(work, Kind.ONLINE_JOB, deployment.owner, wanted, other_than=deployment.id)
            deployment.name = wanted
        if description is not None:
            deployment.description = text(description, "description")
        if enabled is not None:
            deployment.enabled = enabled
        deployment.updated_at = work.now
        model = await work.models.get(deployment.model)
        version = await work.versions.get(deployment.model_version)
        code = await code_of(work, version)
        _tell(work, deployment, _config(deployment, model, version, places[deployment.bucket], code))
        changed(work, Kind.ONLINE_JOB, deployment.id, "updated", by=caller)
    return deployment


async def delete_deployment(core: Core, caller: Caller, identifier: str) -> None:
    """Ends a deployment; its output album stays."""
    async with core.database.write(caller.organisation) as work:
        deployment = await work.deployments.get(identifier, lock=True)
        await work.links.unlink(Kind.ONLINE_JOB, deployment.id)
        await work.deployments.remove(deployment)
        _tell(work, deployment, None)
        changed(work, Kind.ONLINE_JOB, deployment.id, "deleted", by=caller)


async def list_buckets(core: Core) -> list[BucketRow]:
    """The places that can be watched."""
    return [bucket for bucket in (await _places(core)).values() if bucket.offered]


async def _places(core: Core) -> dict[str, BucketRow]:
    async with core.database.system(writing=False) as work:
        return {bucket.id: bucket for bucket in await work.buckets()}


async def _bucket(core: Core, identifier: str) -> BucketRow:
    found = (await _places(core)).get(identifier)
    if found is None or not found.offered:
        raise BadInput(
            "Bucket was not found",
            field="options.inputBucketId",
            value=identifier[:100],
            fix="choose one of /s3buckets",
        )
    return found


def _prefix(prefix: str) -> str:
    watched = prefix.lstrip("/")
    if len(watched.encode(errors="replace")) > LONGEST_PREFIX or "\x00" in watched:
        raise BadInput(
            "Images path is invalid",
            field="options.inputImagesPath",
            value=shown(prefix),
            fix=f"use at most {LONGEST_PREFIX} bytes, none of them NUL",
        )
    return watched


def _config(
    deployment: Deployment, model: Model, version: ModelVersion, place: BucketRow, code: tuple[Input, ...]
) -> dict[str, Any]:
    return StreamConfig(
        stream=deployment.id,
        enabled=deployment.enabled,
        owner=deployment.owner,
        bucket=place.name,
        prefix=deployment.prefix,
        album=deployment.output,
        model=model.id,
        model_version=version.id,
        dataset_version=version.dataset_version,
        framework=version.framework,
        checkpoint=weights(version),
        code=code[0].ref if code else None,
    ).model_dump(mode="json", exclude_none=True)


def _tell(work: Work, deployment: Deployment, value: dict[str, Any] | None) -> None:
    work.config_writes.make(service="taurus", key=f"stream_{deployment.id}", value=value, times=0, next_at=work.now)
    work.rings.add(CONFIG)
