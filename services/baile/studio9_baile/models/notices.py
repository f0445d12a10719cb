"""What users are told when a job of theirs has ended, and how it reaches them."""

from datetime import datetime
from typing import Any

from sqlalchemy import Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from studio9_baile.models.base import Scoped, reference


class Notification(Scoped):
    """One thing a user is told once: `about` is what happened, to `subject` (a job)."""

    __tablename__ = "notifications"
    __table_args__ = (UniqueConstraint("user", "subject", "about"),)

    user: Mapped[str] = mapped_column(reference("users.id", cascade=True))
    about: Mapped[str]
    subject: Mapped[str]
    data: Mapped[dict[str, Any]]
    read_at: Mapped[datetime | None]


class Webhook(Scoped):
    """An address that gets its user's notifications, signed. `kid` names the key that its secret is made with."""

    __tablename__ = "webhooks"

    user: Mapped[str] = mapped_column(reference("users.id", cascade=True), index=True)
    url: Mapped[str]
    kid: Mapped[str]
    ended_at: Mapped[datetime | None]


class Delivery(Scoped):
    """A notification on its way out of the platform: by e-mail (`webhook` None) or to a webhook. It is tried until
    `settled_at`; `problem` says what came of the last try."""

    __tablename__ = "deliveries"
    __table_args__ = (Index("ix_deliveries_waiting", "settled_at", "next_at"),)

    notification: Mapped[str] = mapped_column(reference("notifications.id", cascade=True), index=True)
    webhook: Mapped[str | None] = mapped_column(reference("webhooks.id", cascade=True), index=True)
    times: Mapped[int]
    next_at: Mapped[datetime]
    settled_at: Mapped[datetime | None]
    problem: Mapped[str | None]
