"""The operators' API of dead letters: messages that were given up, of every service.

Reading leaves them where they are; a replay puts one back into its queue and removes it here once the queue has
confirmed it; a drop is for good.
"""

import json
from typing import Annotated, Any

from fastapi import APIRouter, Query

from studio9_common.bus.port import Bus, DeadLetter, QueueGone
from studio9_common.contracts.envelope import SYSTEM, BadEnvelope, decode
from studio9_common.errors import Conflict, NotFound
from studio9_common.logs import logger
from studio9_common.times import format_time
from studio9_common.tokens import Caller
from studio9_orion.access import Operator

MOST = 1_000
"""Dead letters that are looked through."""
BODY = 16 * 1024
"""Characters that are shown of a body that is not JSON."""


class NoQueue(Conflict):
    """The queue that this message came from does not exist; start the service that owns it, then replay again."""

    code = "no_queue"


def router(bus: Bus) -> APIRouter:
    """The routes over the bus. A caller for one organisation sees and touches its messages only."""
    routes = APIRouter(prefix="/v1/dead-letters")
    log = logger("orion")

    async def letters(caller: Caller) -> list[DeadLetter]:
        found = await bus.dead_letters(MOST)
        return [one for one in found if caller.organisation in (SYSTEM, _head(one).get("organisation"))]

    async def letter(caller: Caller, id: str) -> DeadLetter:
        for one in await letters(caller):
            if one.id == id:
                return one
        raise _gone(id)

    @routes.get("")
    async def listed(
        caller: Operator, queue: str | None = None, limit: Annotated[int, Query(ge=1, le=MOST)] = 100
    ) -> dict[str, Any]:
        """The oldest first."""
        found = [one for one in await letters(caller) if queue in (None, one.queue)]
        return {"items": [_short(one) for one in found[:limit]], "total": len(found)}

    @routes.post("/{id:path}/replay")
    async def replay(caller: Operator, id: str) -> dict[str, Any]:
        """Back into its queue, under its own message id. 409 while that queue does not exist; it stays here then."""
        one = await letter(caller, id)
        try:
            if not await bus.replay(id):
                raise _gone(id)
        except QueueGone:
            raise NoQueue(field="queue", value=one.queue) from None
        log.info("dead_letter_replayed", dead_letter=id, queue=one.queue, message_id=one.message_id, by=caller.service)
        return {"id": id, "queue": one.queue, "message_id": one.message_id}

    @routes.get("/{id:path}")
    async def shown(caller: Operator, id: str) -> dict[str, Any]:
        """With its body and headers."""
        one = await letter(caller, id)
        return {**_short(one), "headers": dict(one.headers), "body": _body(one)}

    @routes.delete("/{id:path}")
    async def drop(caller: Operator, id: str) -> dict[str, Any]:
        """Removes it for good."""
        one = await letter(caller, id)
        if not await bus.drop(id):
            raise _gone(id)
        log.warning(
            "dead_letter_dropped", dead_letter=id, queue=one.queue, message_id=one.message_id, by=caller.service
        )
        return {"id": id, "queue": one.queue, "message_id": one.message_id}

    return routes


def _gone(id: str) -> NotFound:
    return NotFound("there is no such dead letter (any more)", field="id", value=id)


def _short(letter: DeadLetter) -> dict[str, Any]:
    head = _head(letter)
    body = {
        "id": letter.id,
        "queue": letter.queue,
        "reason": letter.reason,
        "died_at": format_time(letter.died_at) if letter.died_at else None,
        "routing_key": letter.routing_key,
        "message_id": letter.message_id,
        "type": head.get("type"),
        "organisation": head.get("organisation"),
        "job": head.get("subject"),
        "bytes": len(letter.body),
    }
    return {name: value for name, value in body.items() if value is not None}


def _head(letter: DeadLetter) -> dict[str, Any]:
    """What the envelope says, as far as it can be read: it may be why the message died."""
    try:
        envelope = decode(letter.body)
    except BadEnvelope:
        found = _json(letter)
        return {name: found[name] for name in ("type", "organisation", "subject") if isinstance(found.get(name), str)}
    return {"type": envelope.type, "organisation": envelope.organisation, "subject": envelope.subject}


def _json(letter: DeadLetter) -> dict[str, Any]:
    try:
        found = json.loads(letter.body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _body(letter: DeadLetter) -> Any:
    return _json(letter) or letter.body.decode(errors="replace")[:BODY]
