"""Online APIs: a model version that answers single pictures, through an ordinary job of its own for each call."""

import asyncio
import hashlib
from collections.abc import Sequence

from studio9_baile.core import Caller, Core
from studio9_baile.jobs.news import ENDED
from studio9_baile.jobs.results import output, read_manifest
from studio9_baile.models.jobs import Process, ProcessStatus, ResultState
from studio9_baile.models.learned import ModelVersion, Stage
from studio9_baile.models.stored import OnlineApi
from studio9_baile.repositories.jobs import LIVE
from studio9_baile.security.names import text
from studio9_baile.usecases.access import check_owner
from studio9_baile.usecases.asking import Wanted, ask, ask_cancel, new_job
from studio9_baile.usecases.assets import check_name, name_of
from studio9_baile.usecases.changes import Kind, changed, forget_place
from studio9_baile.usecases.code_packages import code_of
from studio9_baile.usecases.keeping import keep
from studio9_baile.usecases.pictures import Upload
from studio9_baile.usecases.predictions import usable_model, weights
from studio9_common.contracts.job import Input, ObjectRef, Provenance, Requirements, Spec
from studio9_common.errors import Conflict, Studio9Error, Unavailable
from studio9_common.ids import new_id
from studio9_task.layout import MODEL
from studio9_task.parameters import PredictParameters
from studio9_task.pictures import PictureRecord
from studio9_task.results import PredictedPicture

LOOK_S = 0.2
"""How often a call looks whether its job has ended."""


class CallTooLong(Studio9Error):
    """The prediction took longer than a call may; its job is cancelled. Try again when the workers have less to do."""

    status = 504
    code = "call_too_long"


class CallFailed(Studio9Error):
    """The prediction's job failed; the reason is in the message."""

    status = 502
    code = "call_failed"


async def create_online_api(
    core: Core, caller: Caller, *, name: str | None, description: str | None, model: str, enabled: bool
) -> OnlineApi:
    """An online API for a model's newest version."""
    wanted = name_of(Kind.ONLINE_API, name)
    async with core.database.write(caller.organisation) as work:
        await check_name(work, Kind.ONLINE_API, caller.user, wanted)
        found, version = await usable_model(work, caller, model, "target.id", "Model of the online API was not found")
        made = work.online_apis.make(
            owner=caller.user,
            name=wanted,
            description=text(description, "description"),
            enabled=enabled,
            model=found.id,
            model_version=version.id,
        )
        version.stage = Stage.deployed
        changed(work, Kind.ONLINE_API, made.id, "created", by=caller)
    return made


async def switch(core: Core, caller: Caller, identifier: str, enabled: bool) -> OnlineApi:
    """Switches the caller's own on or off."""
    async with core.database.write(caller.organisation) as work:
        row = await work.online_apis.get(identifier, lock=True)
        check_owner(caller, row)
        row.enabled, row.updated_at = enabled, work.now
        changed(work, Kind.ONLINE_API, row.id, "updated", by=caller)
    return row


async def delete_online_api(core: Core, caller: Caller, identifier: str) -> None:
    """Deletes the caller's own, and ends its calls."""
    async with core.database.write(caller.organisation) as work:
        row = await work.online_apis.get(identifier, lock=True)
        check_owner(caller, row)
        for process in await work.processes.live(Kind.ONLINE_API, row.id):
            ask_cancel(work, process, caller.user)
        await forget_place(work, Kind.ONLINE_API, row.id)
        await work.online_apis.remove(row)
        changed(work, Kind.ONLINE_API, row.id, "deleted", by=caller)


async def call(core: Core, caller: Caller, identifier: str, upload: Upload) -> PredictedPicture | None:
    """What the model predicts on a picture; None where it could not be decoded by the trainer. Raises NotFound,
    AccessDenied, Conflict (switched off), CallTooLong, CallFailed, and what is wrong with the picture."""
    async with core.database.read(caller.organisation) as work:
        api = await work.online_apis.get(identifier)
        check_owner(caller, api)
        version = await work.versions.get(api.model_version)
        code = await code_of(work, version)
    if not api.enabled:
        raise Conflict("This online API is switched off", field="enabled", value=False, fix="switch it on")
    decoded = await core.decoder.decode(upload.path)
    key = f"{caller.organisation}/pictures/{upload.sha256}"
    await keep(core, key, upload.path, content_type=decoded.content_type, sha256=upload.sha256)
    record = PictureRecord(
        picture_id=new_id(),
        version=upload.sha256,
        sha256=upload.sha256,
        key=key,
        filename=upload.filename,
        size=upload.size,
        width=decoded.width,
        height=decoded.height,
    )
    job = await _ask(core, caller, api, version, code, record)
    return await _answer(core, caller, await _ended(core, caller, job))


async def _ask(
    core: Core, caller: Caller, api: OnlineApi, version: ModelVersion, code: tuple[Input, ...], record: PictureRecord
) -> str:
    job = new_job()
    line = record.model_dump_json(exclude_none=True).encode() + b"\n"
    manifest = f"{caller.organisation}/scratch/{job}/predict.jsonl"
    sha256 = hashlib.sha256(line).hexdigest()
    await core.objects.put(manifest, line, content_type="application/jsonl", sha256=sha256)
    picture = Input(name="predict", kind="pictures", ref=ObjectRef(key=manifest, sha256=sha256, size=len(line)))
    spec = Spec(
        kind="predict",
        framework=version.framework,
        parameters=PredictParameters().model_dump(mode="json", exclude_none=True),
        inputs=(Input(name=MODEL, kind="file", ref=weights(version, "target.id")), *code, picture),
        requirements=Requirements(gpus=core.settings.predict_gpus),
        provenance=Provenance(model_id=api.model, model_version=version.id, dataset_version=version.dataset_version),
    )
    wanted = Wanted(
        id=job,
        owner=caller.user,
        spec=spec,
        job_type="CV_MODEL_PREDICT",
        target=Kind.ONLINE_API,
        target_id=api.id,
        data={"model_version": version.id, "outputs": {}, "dataset_version": ""},
        listed=False,
    )
    async with core.database.write(caller.organisation) as work:
        ask(work, wanted, core.limits)
    return job


async def _ended(core: Core, caller: Caller, job: str) -> Process:
    """The call's process once its result is in. Raises CallTooLong, and then the job is cancelled."""
    until = core.clock.monotonic() + core.settings.call_limit_s
    while core.clock.monotonic() < until:
        async with core.database.read(caller.organisation) as work:
            process = await work.processes.get(job)
        if process.result_state is ResultState.done:
            return process
        await asyncio.sleep(LOOK_S)
    async with core.database.write(caller.organisation) as work:
        process = await work.processes.get(job, lock=True)
        if process.status in LIVE and process.ended is None:
            ask_cancel(work, process, caller.user)
    raise CallTooLong


async def _answer(core: Core, caller: Caller, process: Process) -> PredictedPicture | None:
    if process.status is not ProcessStatus.COMPLETED:
        raise CallFailed(
            f"The prediction's job {process.status.value.lower()}: {process.cause or 'no reason is known'}"
        )
    ended = ENDED.validate_python(process.ended)
    try:
        file = output(await read_manifest(core, caller.organisation, ended.manifest), "predictions")
        lines: Sequence[bytes] = (await core.objects.get(file.key)).splitlines()
    except Unavailable:
        raise
    except Studio9Error as error:
        raise CallFailed(f"The prediction's result cannot be read: {error.message}") from error
    return PredictedPicture.model_validate_json(lines[0]) if lines else None
