"""Augmentation of albums: a job of the trainers makes a new album of an album's pictures."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from studio9_baile.core import Caller, Core
from studio9_baile.models.pictures import Album, AlbumStatus, AlbumType
from studio9_baile.usecases.access import check_owner
from studio9_baile.usecases.albums import NewAlbum, add_album, require_active
from studio9_baile.usecases.asking import Wanted, ask, new_job
from studio9_baile.usecases.assets import check_name, name_of
from studio9_baile.usecases.catalogue import framework_of
from studio9_baile.usecases.changes import Kind, changed, made_from
from studio9_baile.usecases.datasets import add_version, write_version
from studio9_baile.usecases.quotas import check_room
from studio9_common.contracts.job import Provenance, Requirements, Spec
from studio9_common.errors import BadInput
from studio9_task.augmentations import AugmentParameters

AUGMENT = "augment"
"""The kind of the task, and what its input is for."""
PICTURES = "pictures"


async def augment_album(
    core: Core,
    caller: Caller,
    identifier: str,
    name: str | None,
    *,
    steps: Sequence[Mapping[str, Any]],
    bloat_factor: int,
    include_originals: bool,
) -> Album:
    """Starts an augmentation; the new album is SAVING until its pictures are in. Raises NotFound, AccessDenied,
    BadInput, naming the step."""
    wanted = name_of(Kind.ALBUM, name, "outputName")
    parameters = read_steps(steps, bloat_factor, include_originals, "")
    framework = framework_of(await core.catalogue.current(), AUGMENT)
    async with core.database.read(caller.organisation) as work:
        album = await work.albums.get(identifier)
        check_owner(caller, album)
        require_active(album)
        if album.type is not AlbumType.SOURCE:
            raise BadInput(
                "Only albums of one's own pictures can be augmented", field="album", value=album.type.value,
                fix="copy it first",
            )  # fmt: skip
        await check_name(work, Kind.ALBUM, caller.user, wanted, field="outputName")
        held = await work.tallies.of(album.id)
        await check_room(core, work, pictures=held.pictures * bloat_factor, size=held.bytes * bloat_factor)
    version = await write_version(core, caller, AUGMENT, {PICTURES: album})
    job = new_job()
    async with core.database.write(caller.organisation) as work:
        await check_name(work, Kind.ALBUM, caller.user, wanted, field="outputName")
        add_version(work, caller.user, version, core.objects.profile, job)
        new = NewAlbum(name=wanted, label_mode=album.label_mode, status=AlbumStatus.SAVING, job=job)
        made = add_album(work, caller.user, new)
        await work.flush()
        made_from(work, Kind.ALBUM, made.id, Kind.ALBUM, album.id, AUGMENT, job)
        spec = Spec(
            kind=AUGMENT,
            framework=framework,
            parameters=parameters.model_dump(mode="json", exclude_none=True),
            inputs=version.inputs,
            requirements=Requirements(),
            provenance=Provenance(dataset_version=version.id),
        )
        wanted_job = Wanted(
            id=job,
            owner=caller.user,
            spec=spec,
            job_type="ALBUM_AUGMENTATION",
            target=Kind.ALBUM,
            target_id=made.id,
            data={"outputs": {PICTURES: made.id}, "dataset_version": version.id},
        )
        ask(work, wanted_job, core.limits)
        changed(work, Kind.ALBUM, made.id, "created", by=caller, status=made.status)
    return made


def read_steps(
    steps: Sequence[Mapping[str, Any]], bloat_factor: int, include_originals: bool, prefix: str
) -> AugmentParameters:
    """The task's parameters from the form's. Raises BadInput, naming step and field."""
    if bloat_factor < 1:
        raise BadInput("Invalid bloat factor", field=f"{prefix}bloatFactor", value=bloat_factor, fix="at least 1")
    given = [{key: value for key, value in step.items() if value is not None} for step in steps]
    try:
        return AugmentParameters.model_validate(
            {
                "augmentations": given,
                "bloat_factor": bloat_factor,
                "include_original_pictures": include_originals,
            }
        )
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"] if not (isinstance(part, str) and part.isupper()))
        kind = next((str(part) for part in first["loc"] if isinstance(part, str) and part.isupper()), "Augmentation")
        what = "Invalid bloat factor" if where.endswith("bloatFactor") else f"{kind} cannot be used"
        value = first["input"] if isinstance(first["input"], (int, float, str, bool)) else None
        raise BadInput(what, field=f"{prefix}{where}", value=value, fix=str(first["msg"])) from None
