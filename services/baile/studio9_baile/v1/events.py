"""`GET /v1/events`: what happens in the caller's organisation, as server-sent events.

Types: `process` (a job of the caller: id, target, targetId, jobType, status, progress, estimate, epoch, epochs,
metrics and the epoch they are of, metricsEpoch), `asset.changed` (kind, id, change, status), `notification`, and
`reset` (read again what is shown: events were missed). A share is told to who gave and who got it alone; pictures that
are uploaded one by one are told together, a moment later.
"""

from collections.abc import AsyncIterator

from fastapi import Request
from starlette.responses import StreamingResponse

from studio9_baile.core import Caller, Core
from studio9_baile.usecases import signing_in
from studio9_baile.usecases.following import follow
from studio9_baile.v1.dependencies import TheCore
from studio9_baile.v1.routing import router
from studio9_baile.v2.dependencies import token_of
from studio9_common.errors import BadInput

routes = router()

RETRY_MS = 2_000
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


@routes.get("/events")
async def events(request: Request, core: TheCore) -> StreamingResponse:
    """Goes on after `Last-Event-ID` (or `last_event_id`) without a gap, or begins now. Browsers cannot send a header
    here: the token may be given as `access_token`."""
    token = token_of(request, query=True)
    caller = await signing_in.caller_of(core, token)
    core.watch.check_room(caller.user)
    lines = _lines(core, caller, token, _after(request))
    return StreamingResponse(lines, media_type="text/event-stream", headers=HEADERS)


async def _lines(core: Core, caller: Caller, token: str, after: int | None) -> AsyncIterator[str]:
    yield f"retry: {RETRY_MS}\n\n"
    async for told in follow(core, caller, token, after):
        yield ": keep-alive\n\n" if told is None else told.encode()


def _after(request: Request) -> int | None:
    text = request.headers.get("last-event-id") or request.query_params.get("last_event_id") or ""
    if not text.strip():
        return None
    if not (text.strip().isascii() and text.strip().isdigit() and len(text.strip()) <= 18):
        raise BadInput(
            "this is not the id of an event",
            field="Last-Event-ID",
            value=text,
            fix="send the id of the last event that came, or none",
        )
    return int(text)
