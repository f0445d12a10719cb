"""References of what opens users' own buckets."""

from studio9_baile.models.credentials import Credential
from studio9_baile.repositories.base import Repository


class Credentials(Repository[Credential]):
    """Credentials of users' own buckets."""

    row = Credential
    missing = "There is no such credential of yours"

    async def of(self, owner: str) -> list[Credential]:
        """A user's credentials."""
        return await self.all(Credential.owner == owner)
