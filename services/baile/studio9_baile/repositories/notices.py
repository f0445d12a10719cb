"""Notifications, webhooks, and what is on its way out."""

from studio9_baile.models.notices import Delivery, Notification, Webhook
from studio9_baile.repositories.base import Repository


class Notifications(Repository[Notification]):
    """What users were told."""

    row = Notification
    missing = "There is no such notification of yours"


class Webhooks(Repository[Webhook]):
    """Addresses that users want to be told at."""

    row = Webhook
    missing = "There is no such webhook of yours"

    async def of(self, user: str) -> list[Webhook]:
        """A user's webhooks."""
        return await self.all(Webhook.user == user)


class Deliveries(Repository[Delivery]):
    """Notifications on their way."""

    row = Delivery
