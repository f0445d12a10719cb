"""Online jobs. Everybody in the organisation sees and manages them."""

from studio9_baile.usecases import deployments
from studio9_baile.usecases.changes import Kind
from studio9_baile.usecases.listing import list_assets
from studio9_baile.v2.dependencies import TheCaller, TheCore, ThePage, TheShelf
from studio9_baile.v2.routing import router
from studio9_baile.v2.wire.base import Listed, Removed
from studio9_baile.v2.wire.online import NewOnlineJobBody, OnlineJobAnswer, OnlineJobBody

routes = router()


@routes.get("/online-jobs")
async def list_jobs(core: TheCore, caller: TheCaller, page: ThePage, shelf: TheShelf) -> Listed[OnlineJobAnswer]:
    found, count = await list_assets(core, caller, Kind.ONLINE_JOB, shelf, page, everybody=True)
    return Listed(data=[OnlineJobAnswer.of(one) for one in found], count=count)


@routes.post("/online-jobs")
async def create(body: NewOnlineJobBody, core: TheCore, caller: TheCaller) -> OnlineJobAnswer:
    made = await deployments.create_deployment(
        core,
        caller,
        name=body.name,
        description=body.description,
        model=body.target.id,
        bucket=body.options.inputBucketId,
        prefix=body.options.inputImagesPath,
        album_name=body.options.outputAlbumName,
        enabled=body.enabled is not False,
    )
    return OnlineJobAnswer.of(made)


@routes.get("/online-jobs/{job_id}")
async def get(job_id: str, core: TheCore, caller: TheCaller) -> OnlineJobAnswer:
    return OnlineJobAnswer.of(await deployments.get_deployment(core, caller, job_id))


@routes.put("/online-jobs/{job_id}")
async def update(job_id: str, body: OnlineJobBody, core: TheCore, caller: TheCaller) -> OnlineJobAnswer:
    changed = await deployments.update_deployment(
        core, caller, job_id, name=body.name, description=body.description, enabled=body.enabled
    )
    return OnlineJobAnswer.of(changed)


@routes.delete("/online-jobs/{job_id}")
async def delete(job_id: str, core: TheCore, caller: TheCaller) -> Removed:
    await deployments.delete_deployment(core, caller, job_id)
    return Removed(id=job_id)
