"""`/v1/notifications` and `/v1/webhooks`: what the caller was told, and where else they want to be told."""

from typing import Any

from fastapi import Response
from pydantic import Field

from studio9_baile.models.notices import Notification, Webhook
from studio9_baile.usecases import notifying
from studio9_baile.v1.dependencies import TheCaller, TheCore
from studio9_baile.v1.routing import SECRET, router
from studio9_baile.v1.wire import Answer, Body, Id, Page, TheSlice, Time, paged

routes = router(tag="notifications")


class NotificationAnswer(Answer):
    """One thing the caller was told: `about` is `job.completed`, `job.failed` or `job.cancelled`."""

    id: str
    about: str
    time: Time
    data: dict[str, Any]
    read_at: Time | None = None

    @classmethod
    def of(cls, row: Notification) -> "NotificationAnswer":
        return cls(id=row.id, about=row.about, time=row.created_at, data=row.data, read_at=row.read_at)


class WebhookBody(Body):
    """A public https:// address."""

    url: str = Field(min_length=1, max_length=2_000)


class WebhookAnswer(Answer):
    """A webhook. `secret` is shown when it is made and never again. Each call carries `Studio9-Signature: t=…,v1=…`,
    the HMAC-SHA256 of `t`, a dot and the body with the secret, in hex; and `Studio9-Delivery`, the same at each try."""

    id: str
    url: str
    created_at: Time
    secret: str | None = None

    @classmethod
    def of(cls, row: Webhook, secret: str | None = None) -> "WebhookAnswer":
        return cls(id=row.id, url=row.url, created_at=row.created_at, secret=secret)


@routes.get("/notifications", response_model_exclude_none=True)
async def list_notifications(wanted: TheSlice, core: TheCore, caller: TheCaller) -> Page[NotificationAnswer]:
    rows = await notifying.list_notifications(core, caller, wanted)
    return paged([NotificationAnswer.of(row) for row in rows], [row.id for row in rows], wanted)


@routes.post("/notifications/{notification_id}/read", response_model_exclude_none=True)
async def read(notification_id: Id, core: TheCore, caller: TheCaller) -> NotificationAnswer:
    return NotificationAnswer.of(await notifying.read_notification(core, caller, notification_id))


@routes.get("/webhooks", response_model_exclude_none=True)
async def list_webhooks(core: TheCore, caller: TheCaller) -> list[WebhookAnswer]:
    return [WebhookAnswer.of(row) for row in await notifying.list_webhooks(core, caller)]


@routes.post("/webhooks", status_code=201, response_model_exclude_none=True)
async def create_webhook(body: WebhookBody, response: Response, core: TheCore, caller: TheCaller) -> WebhookAnswer:
    response.headers.update(SECRET)
    return WebhookAnswer.of(*await notifying.create_webhook(core, caller, body.url))


@routes.delete("/webhooks/{webhook_id}", status_code=204)
async def remove_webhook(webhook_id: Id, core: TheCore, caller: TheCaller) -> None:
    await notifying.remove_webhook(core, caller, webhook_id)
