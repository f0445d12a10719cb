"""Credentials of users' own buckets. What they hold is a secret in Argo and never here."""

from sqlalchemy.orm import Mapped, mapped_column

from studio9_baile.models.base import Unchanging, reference


class Credential(Unchanging):
    """What opens buckets of its owner's. `id` is the reference of the secret in Argo. Names need not be unique."""

    __tablename__ = "credentials"

    owner: Mapped[str] = mapped_column(reference("users.id", cascade=True), index=True)
    name: Mapped[str]
