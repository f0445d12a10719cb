"""Brings notifications out: by mail, and to webhooks, each tried again until it is taken or has failed too often."""

import asyncio
import hashlib
import hmac
import json
import smtplib
from datetime import timedelta

from studio9_baile.core import Core
from studio9_baile.models.notices import Delivery, Notification, Webhook
from studio9_baile.repositories.system import Scope
from studio9_baile.usecases.notifying import deliver
from studio9_common.errors import Studio9Error
from studio9_common.http.outbound import post, resolve
from studio9_common.logs import logger
from studio9_common.times import format_time

LEASE = timedelta(seconds=60)
"""How long a delivery belongs to the instance that tries it."""
PAUSES_S = (5.0, 30.0, 120.0, 600.0, 3_600.0, 21_600.0)
"""After each failed try; then it has failed for good."""
SIGNATURE = "Studio9-Signature"


def signature(secret: str, time: int, body: bytes) -> str:
    """`t=…,v1=…`: HMAC-SHA256 with the webhook's secret over the time, a dot, and the body."""
    digest = hmac.new(secret.encode(), f"{time}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={time},v1={digest}"


class Deliverer:
    """The step of the deliveries' loop."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._log = logger("baile")

    async def step(self) -> bool:
        """Tries one delivery; whether there may be more. Raises DatabaseUnavailable."""
        async with self._core.database.system() as system:
            scope = await system.claim_delivery(LEASE)
        if scope is None:
            return False
        async with self._core.database.read(scope.organisation) as work:
            delivery = await work.deliveries.get(scope.id)
            notification = await work.notifications.get(delivery.notification)
            webhook = None if delivery.webhook is None else await work.webhooks.find(delivery.webhook)
        problem = None
        try:
            if delivery.webhook is None:
                await self._mail(notification)
            elif webhook is not None:
                await self._call(delivery, notification, webhook)
        except Studio9Error as error:
            problem = error.message
        except (OSError, smtplib.SMTPException) as error:
            problem = type(error).__name__
        await self._note(scope, problem)
        return True

    async def _mail(self, notification: Notification) -> None:
        """Fans out to the user's webhooks, and sends a mail where there is a server."""
        core = self._core
        async with core.database.write(notification.organisation) as work:
            known = await work.deliveries.all(
                work.deliveries.row.notification == notification.id, work.deliveries.row.webhook.is_not(None)
            )
            there = {one.webhook for one in known}
            for webhook in await work.webhooks.of(notification.user):
                if webhook.id not in there:
                    deliver(work, notification.id, webhook.id)
            user = await work.users.find(notification.user)
        if user is None or not core.mailer.set_up:
            return
        subject = f"Your {notification.data.get('kind', 'job')}: {notification.about.removeprefix('job.')}"
        lines = [f"{name}: {value}" for name, value in notification.data.items()]
        text = "\n".join(lines) + f"\n\n{core.settings.public_url}\n"
        message = core.mailer.compose(user.email, subject, text, identifier=notification.id)
        await asyncio.to_thread(core.mailer.deliver, message)

    async def _call(self, delivery: Delivery, notification: Notification, webhook: Webhook) -> None:
        secret = self._core.tokens.secret_for(webhook.id, webhook.kid)[1]
        body = json.dumps(
            {
                "id": notification.id,
                "about": notification.about,
                "time": format_time(notification.created_at),
                "data": notification.data,
            },
            separators=(",", ":"),
        ).encode()
        target = await resolve(webhook.url, private=self._core.settings.webhooks_private)
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "studio9",
            "Studio9-Delivery": delivery.id,
            SIGNATURE: signature(secret, int(self._core.clock.now().timestamp()), body),
        }
        await post(target, body, headers)

    async def _note(self, scope: Scope, problem: str | None) -> None:
        async with self._core.database.write(scope.organisation) as work:
            delivery = await work.deliveries.find(scope.id, lock=True)
            if delivery is None:
                return
            delivery.times += 1
            delivery.problem = problem
            if problem is None or delivery.times > len(PAUSES_S):
                delivery.settled_at = work.now
            else:
                delivery.next_at = work.now + timedelta(seconds=PAUSES_S[delivery.times - 1])
        if problem is not None:
            self._log.warning("notification_not_delivered", delivery=scope.id, problem=problem)
