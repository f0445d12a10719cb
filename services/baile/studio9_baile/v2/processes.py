"""Processes: followed by the UI while an asset is busy, and listed on its jobs page."""

from datetime import datetime
from typing import Annotated

from fastapi import Query

from studio9_baile.usecases import processes
from studio9_baile.usecases.changes import Kind
from studio9_baile.v2.dependencies import TheCaller, TheCore, ThePage
from studio9_baile.v2.routing import router
from studio9_baile.v2.wire.base import Listed, Removed
from studio9_baile.v2.wire.processes import ProcessAnswer
from studio9_common.errors import BadInput
from studio9_common.times import parse_time

routes = router()
Range = Annotated[str | None, Query(max_length=100)]
TARGETS = {
    "albums": Kind.ALBUM,
    "cv-models": Kind.CV_MODEL,
    "experiments": Kind.EXPERIMENT,
    "cv-predictions": Kind.CV_PREDICTION,
    "datasets": Kind.DATASET,
}


@routes.get("/processes")
async def list_processes(
    core: TheCore,
    caller: TheCaller,
    page: ThePage,
    jobTypes: Annotated[str | None, Query(max_length=1_000)] = None,
    processStarted: Range = None,
    processCompleted: Range = None,
) -> Listed[ProcessAnswer]:
    types = [one for one in (jobTypes or "").split(",") if one]
    async with core.database.read(caller.organisation) as work:
        found, count = await work.processes.page(
            caller.user,
            page,
            job_types=types,
            started=_range(processStarted, "processStarted"),
            completed=_range(processCompleted, "processCompleted"),
        )
    return Listed(data=[ProcessAnswer.of(one) for one in found], count=count)


@routes.get("/processes/{process_id}")
async def get(process_id: str, core: TheCore, caller: TheCaller) -> ProcessAnswer:
    return ProcessAnswer.of(await processes.get_process(core, caller, process_id))


@routes.post("/processes/{process_id}/cancel")
async def cancel(process_id: str, core: TheCore, caller: TheCaller) -> Removed:
    await processes.cancel(core, caller, process_id)
    return Removed(id=process_id)


def _add(segment: str, kind: Kind) -> None:
    async def newest(asset_id: str, core: TheCore, caller: TheCaller) -> ProcessAnswer:
        return ProcessAnswer.of(await processes.newest_of(core, caller, kind, asset_id))

    routes.add_api_route(f"/{segment}/{{asset_id}}/process", newest, methods=["GET"], name=f"process of {segment}")


for _segment, _kind in TARGETS.items():
    _add(_segment, _kind)


def _range(text: str | None, field: str) -> tuple[datetime, datetime] | None:
    if not text:
        return None
    first, _, last = text.partition(",")
    try:
        return parse_time(first), parse_time(last)
    except (ValueError, OverflowError):  # a time may leave the calendar on its way to UTC
        raise BadInput(
            "Date range is invalid", field=field, value=text, fix="give two ISO times separated by a comma"
        ) from None
