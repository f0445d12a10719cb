"""Sessions and users."""

from typing import Literal

from studio9_baile.models.identity import Role, User, UserStatus
from studio9_baile.v2.wire.base import Answer, Body, Moment


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
    role: Role

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
            role=user.role,
        )


class NewUserBody(Body):
    username: str
    email: str
    password: str
    firstName: str
    lastName: str
    role: Role = Role.USER


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
    tablesCount: int = 0
    flowsCount: int = 0
    modelsCount: int = 0
    binaryDatasetsCount: int = 0
    pipelinesCount: int = 0
    tabularPredictionsCount: int = 0
    dcProjectsCount: int = 0
