"""What a machine and Orion say to each other when the machine joins as a worker, and while it is one.

The machine makes its own secrets, so nothing secret travels back and a lost answer can be asked for again: `proof` is
what it shows Orion from then on, `broker_hash` is RabbitMQ's stored form of the password of its broker user.
"""

import base64
import binascii

from pydantic import BaseModel, ConfigDict, Field, field_validator

WORKER_NAME = r"^[A-Za-z0-9_-]{1,64}$"
"""A worker's id: it is part of routing keys and queues' names, so it has no dots."""


class JoinRequest(BaseModel):
    """`POST /v1/joins/redeem`, which needs no other token than the one inside."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)
    token: str = Field(max_length=200)
    proof: str = Field(min_length=40, max_length=100)
    broker_hash: str = Field(max_length=64)

    @field_validator("broker_hash")
    @classmethod
    def _is_hash(cls, value: str) -> str:
        try:
            size = len(base64.b64decode(value, validate=True))
        except (binascii.Error, ValueError):
            size = 0
        if size != 36:
            raise ValueError("it is no salted SHA-256 as RabbitMQ stores passwords")
        return value


class Storage(BaseModel):
    """The object storage of the platform as the machine reaches it. `lends_keys`: Orion gives it temporary keys."""

    url: str
    endpoint: str | None = None
    region: str = "us-east-1"
    lends_keys: bool = False


class Joined(BaseModel):
    """What a machine is told when it has joined. `broker` is an address without user and password."""

    worker: str
    installation: str
    broker: str
    broker_user: str
    argo_url: str
    storage: Storage
    labels: tuple[str, ...] = ()
    task_image: str = ""


class TokenRequest(BaseModel):
    """`POST /v1/members/token`: a service token for Argo; with `job` and `fence` bound to that attempt."""

    model_config = ConfigDict(extra="forbid")
    audience: str = Field(max_length=32)
    job: str | None = Field(None, max_length=64)
    fence: int | None = None


class TokenAnswer(BaseModel):
    """A token and how many seconds it is valid from now on."""

    token: str
    valid_s: float


class StorageKeys(BaseModel):
    """`POST /v1/members/storage-keys`: temporary keys that open what a worker needs, for `valid_s` seconds."""

    access_key: str
    secret_key: str
    session_token: str
    valid_s: float
