"""Sessions and users."""

from enum import StrEnum
from typing import Literal

from studio9_baile.models.identity import Role, User, UserStatus
from studio9_baile.usecases.users import NewUser
from studio9_baile.v2.wire.base import Answer, Body, Moment


class SalsaRole(StrEnum):
    """The two roles that Salsa knows."""

    ADMIN = "ADMIN"
    USER = "USER"

    @classmethod
    def of(cls, role: Role) -> "SalsaRole":
        return cls.ADMIN if role in (Role.owner, Role.admin) else cls.USER

    @property
    def role(self) -> Role:
        """What somebody becomes who is given it."""
        return Role.admin if self is SalsaRole.ADMIN else Role.editor


class SignInBody(Body):
    username: str | None = None
    email: str | None = None
    password: str


class TokenAnswer(Answer):
    access_token: str
    expires_in: int
    token_type: Literal["bearer"] = "bearer"


class UserAnswer(Answer):
    id: str
    username: str
    email: str
    firstName: str
    lastName: str
    status: UserStatus
    created: Moment
    updated: Moment
    role: SalsaRole

    @classmethod
    def of(cls, user: User) -> "UserAnswer":
        return cls(
            id=user.id,
            username=user.username,
            email=user.email,
            firstName=user.first_name,
            lastName=user.last_name,
            status=user.status,
            created=user.created_at,
            updated=user.updated_at,
            role=SalsaRole.of(user.role),
        )


class SignUpBody(Body):
    username: str
    email: str
    password: str
    firstName: str
    lastName: str

    def new(self) -> NewUser:
        """The user that is asked for."""
        return NewUser(
            username=self.username,
            email=self.email,
            password=self.password,
            first_name=self.firstName,
            last_name=self.lastName,
        )


class NewUserBody(SignUpBody):
    role: SalsaRole = SalsaRole.USER


class UserBody(Body):
    username: str | None = None
    email: str | None = None
    password: str | None = None
    firstName: str | None = None
    lastName: str | None = None
    role: SalsaRole | None = None


class ConfirmationBody(Body):
    orgId: str
    userId: str
    activationCode: str


class EmailBody(Body):
    email: str


class NewPasswordBody(Body):
    email: str
    secretCode: str
    newPassword: str


class PasswordBody(Body):
    oldPassword: str
    newPassword: str


class StatsAnswer(Answer):
    """How many assets of each kind there are; those of the tabular side are none yet."""

    albumsCount: int
    cvModelsCount: int
    experimentsCount: int
    cvPredictionsCount: int
    projectsCount: int
    binaryDatasetsCount: int
    tablesCount: int = 0
    flowsCount: int = 0
    modelsCount: int = 0
    pipelinesCount: int = 0
    tabularPredictionsCount: int = 0
    dcProjectsCount: int = 0
