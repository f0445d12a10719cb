"""Telling users what has become of their jobs: once each, in the UI's way, by mail where it is set up, by webhook."""

from collections.abc import Sequence
from typing import Any

from studio9_baile.bell import DELIVERIES
from studio9_baile.core import Caller, Core
from studio9_baile.models.jobs import Process
from studio9_baile.models.notices import Notification, Webhook
from studio9_baile.repositories.base import Slice
from studio9_baile.repositories.work import Work
from studio9_common.errors import Conflict, NotFound
from studio9_common.http.outbound import resolve
from studio9_common.ids import new_id

MOST_WEBHOOKS = 10
NOTIFICATION = "notification"
"""The type of the server-sent event."""


def notify_ended(work: Work, process: Process) -> None:
    """The owner of a job is told how it ended. The many small jobs of a stream are not told."""
    if not process.listed:
        return
    data = {
        "job": process.id,
        "kind": process.kind,
        "target": process.target,
        "targetId": process.target_id,
        "status": process.status.value,
        "cause": process.cause,
    }
    about = f"job.{process.status.value.lower()}"
    _add(work, process.owner, about, process.id, {name: value for name, value in data.items() if value is not None})


def _add(work: Work, user: str, about: str, subject: str, data: dict[str, Any]) -> None:
    notification = work.notifications.make(user=user, about=about, subject=subject, data=data)
    deliver(work, notification.id, None)
    work.emit(NOTIFICATION, {"id": notification.id, "about": about, **data}, user=user)
    work.rings.add(DELIVERIES)


def deliver(work: Work, notification: str, webhook: str | None) -> None:
    """Brings a notification out soon: to a webhook, or to all of them and by mail."""
    work.deliveries.make(notification=notification, webhook=webhook, times=0, next_at=work.now)


async def list_notifications(core: Core, caller: Caller, wanted: Slice) -> Sequence[Notification]:
    """What the caller was told, newest first."""
    async with core.database.read(caller.organisation) as work:
        return await work.notifications.recent(wanted, work.notifications.row.user == caller.user)


async def read_notification(core: Core, caller: Caller, identifier: str) -> Notification:
    """The caller has seen it. Raises NotFound."""
    async with core.database.write(caller.organisation) as work:
        row = await work.notifications.get(identifier, lock=True)
        if row.user != caller.user:
            raise NotFound(work.notifications.missing)
        row.read_at = row.read_at or work.now
    return row


async def create_webhook(core: Core, caller: Caller, url: str) -> tuple[Webhook, str]:
    """An address that is called with each notification of the caller, and the secret that signs the calls, which is not
    shown again. Raises ForbiddenAddress, NotReached, Conflict for too many."""
    await resolve(url, private=core.settings.webhooks_private)
    identifier = new_id()
    kid, secret = core.tokens.secret_for(identifier)
    async with core.database.write(caller.organisation) as work:
        if len(await work.webhooks.of(caller.user)) >= MOST_WEBHOOKS:
            raise Conflict("You have too many webhooks", field="url", fix="remove one first")
        row = work.webhooks.make(id=identifier, user=caller.user, url=url, kid=kid)
        work.audit(caller.user, "created", "WEBHOOK", row.id, {"url": url[:200]})
    return row, secret


async def list_webhooks(core: Core, caller: Caller) -> Sequence[Webhook]:
    """The caller's webhooks."""
    async with core.database.read(caller.organisation) as work:
        return await work.webhooks.of(caller.user)


async def remove_webhook(core: Core, caller: Caller, identifier: str) -> None:
    """Ends a webhook of the caller's. Raises NotFound."""
    async with core.database.write(caller.organisation) as work:
        row = await work.webhooks.get(identifier, lock=True)
        if row.user != caller.user:
            raise NotFound(work.webhooks.missing)
        await work.webhooks.remove(row)
        work.audit(caller.user, "removed", "WEBHOOK", row.id)
