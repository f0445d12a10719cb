"""Users of one organisation, their passwords and sign-ins."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import bindparam, delete, select

from studio9_baile.models.identity import AccessToken, PastPassword, Role, SignIn, User, UserStatus
from studio9_baile.repositories.base import Repository
from studio9_baile.repositories.paging import Page, like

_STANDING = select(SignIn.revoked_at, SignIn.expires_at, User.role, User.status).where(
    SignIn.organisation == bindparam("organisation"),
    SignIn.id == bindparam("sign_in"),
    SignIn.user == bindparam("user"),
    User.organisation == SignIn.organisation,
    User.id == SignIn.user,
)


@dataclass(frozen=True, slots=True)
class Standing:
    """A sign-in as it is now, and who its user is now."""

    revoked_at: datetime | None
    expires_at: datetime
    role: Role
    status: UserStatus


class Users(Repository[User]):
    """Users."""

    row = User
    missing = "User not found"

    async def with_email(self, email: str) -> User | None:
        """The organisation's user with this address, in lower case."""
        return await self._session.scalar(self.select(User.email == email))

    async def page(self, page: Page, first_name: str | None, last_name: str | None) -> tuple[list[User], int]:
        statement = self.select()
        if first_name:
            statement = statement.where(like(User.first_name, first_name))
        if last_name:
            statement = statement.where(like(User.last_name, last_name))
        columns = {
            "firstName": User.first_name, "lastName": User.last_name, "email": User.email, "username": User.username,
            "created": User.created_at, "updated": User.updated_at,
        }  # fmt: skip
        return await self.page_of(statement, page.sorted(columns), page)

    async def owners(self, *, lock: bool = False) -> list[str]:
        """The organisation's owners who can sign in."""
        statement = self.select(User.role == Role.owner, User.status == UserStatus.ACTIVE).order_by(User.id)
        found = await self._session.scalars(statement.with_for_update() if lock else statement)
        return [user.id for user in found]


class PastPasswords(Repository[PastPassword]):
    """The hashes of users' last passwords."""

    row = PastPassword

    async def of(self, user: str, limit: int) -> list[str]:
        """The newest hashes of a user."""
        found = await self._session.scalars(
            self.select(PastPassword.user == user).order_by(PastPassword.id.desc()).limit(limit)
        )
        return [row.password_hash for row in found]

    async def keep(self, user: str, limit: int) -> None:
        """Forgets all but the newest of a user."""
        newest = select(PastPassword.id).where(self.mine, PastPassword.user == user)
        newest = newest.order_by(PastPassword.id.desc()).limit(limit)
        await self._session.execute(
            delete(PastPassword).where(self.mine, PastPassword.user == user, PastPassword.id.not_in(newest))
        )


class SignIns(Repository[SignIn]):
    """Sign-ins."""

    row = SignIn

    async def standing(self, sign_in: str, user: str) -> Standing | None:
        """A sign-in of this user; None where there is none such. In one statement, for every request asks."""
        wanted = {"organisation": self.organisation, "sign_in": sign_in, "user": user}
        found = (await self._session.execute(_STANDING, wanted)).one_or_none()
        return None if found is None else Standing(*found)

    async def revoke(
        self, now: datetime, *, user: str | None = None, sign_in: str | None = None, other_than: str | None = None
    ) -> None:
        """Ends one sign-in, or all of a user but one."""
        where = [SignIn.id == sign_in if sign_in is not None else SignIn.user == user, SignIn.revoked_at.is_(None)]
        if other_than is not None:
            where.append(SignIn.id != other_than)
        await self._session.execute(self.update(*where).values(revoked_at=now))


class AccessTokens(Repository[AccessToken]):
    """Personal access tokens."""

    row = AccessToken
    missing = "There is no such token of yours"

    async def of(self, user: str) -> list[AccessToken]:
        """A user's tokens that were not revoked."""
        return await self.all(AccessToken.user == user, AccessToken.revoked_at.is_(None))

    async def revoke(self, now: datetime, *, user: str) -> None:
        """Ends all tokens of a user."""
        await self._session.execute(
            self.update(AccessToken.user == user, AccessToken.revoked_at.is_(None)).values(revoked_at=now)
        )
