"""Organisations, users and what proves who they are."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy.orm import Mapped, mapped_column

from studio9_baile.models.base import Base, Edited, Scoped, reference


class UserStatus(StrEnum):
    """Only ACTIVE users can sign in."""

    ACTIVE = "ACTIVE"
    INACTIVE = "INACTIVE"
    """The e-mail address is not confirmed yet."""
    DEACTIVATED = "DEACTIVATED"


class Role(StrEnum):
    """What a user may do in the organisation, most first (studio9_baile.security.permissions). None gives rights on
    other people's assets."""

    owner = "owner"
    admin = "admin"
    editor = "editor"
    annotator = "annotator"
    viewer = "viewer"


class Organisation(Base):
    """A tenant. `next_event` is the number of its next server-sent event, raised under the row's lock."""

    __tablename__ = "organisations"

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    next_event: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime]


class User(Edited):
    """A person. User name and e-mail are unique in the installation, in lower case."""

    __tablename__ = "users"

    username: Mapped[str] = mapped_column(unique=True)
    email: Mapped[str] = mapped_column(unique=True)
    password_hash: Mapped[str]
    first_name: Mapped[str]
    last_name: Mapped[str]
    role: Mapped[Role]
    status: Mapped[UserStatus]
    updated_at: Mapped[datetime]


class PastPassword(Scoped):
    """A hash of one of the user's last passwords, which cannot be used again."""

    __tablename__ = "past_passwords"

    user: Mapped[str] = mapped_column(reference("users.id", cascade=True), index=True)
    password_hash: Mapped[str]


class SignIn(Scoped):
    """A sign-in; its token is good until `expires_at`, or until it is revoked."""

    __tablename__ = "sign_ins"

    user: Mapped[str] = mapped_column(reference("users.id", cascade=True), index=True)
    expires_at: Mapped[datetime] = mapped_column(index=True)
    revoked_at: Mapped[datetime | None]


class RefreshToken(Scoped):
    """The hash of what renews a sign-in, once: whoever comes with a used one has stolen it, or was stolen from."""

    __tablename__ = "refresh_tokens"

    sign_in: Mapped[str] = mapped_column(reference("sign_ins.id", cascade=True), index=True)
    token_hash: Mapped[str] = mapped_column(unique=True)
    used_at: Mapped[datetime | None]


class AccessToken(Scoped):
    """The hash of a personal access token. It may do what its `scopes` name, as far as its user's role does."""

    __tablename__ = "access_tokens"

    user: Mapped[str] = mapped_column(reference("users.id", cascade=True), index=True)
    name: Mapped[str]
    token_hash: Mapped[str] = mapped_column(unique=True)
    scopes: Mapped[list[Any]]
    expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
    used_at: Mapped[datetime | None]
    """When it was last used, to about a minute."""


class SignInFailures(Base):
    """Failed sign-ins by user name or address (hashed), so that guessing is slow, also across restarts."""

    __tablename__ = "sign_in_failures"

    key: Mapped[str] = mapped_column(primary_key=True)
    failures: Mapped[int]
    last_at: Mapped[datetime]


class BootstrapToken(Base):
    """The hash of a one-time token that makes an organisation with its first user."""

    __tablename__ = "bootstrap_tokens"

    token_hash: Mapped[str] = mapped_column(primary_key=True)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
