"""Configuration as Argo keeps it: what an entry is, and the keys that several services share, with their types.

A value is found by scope: a project's, else its organisation's, else the installation's. A service's own keys are
registered by the service at its start; the shared ones here are known to Argo from the beginning.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from studio9_common.contracts.job import ObjectRef

Scope = Literal["installation", "organisation", "project"]
Id = Annotated[str, Field(min_length=1, max_length=128)]
SYSTEM = "system"
"""The organisation of an installation's entries."""


class Entry(BaseModel):
    """One value. `version` grows with each change and goes into If-Match. `value` is None for a deleted entry."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    scope: Scope
    organisation: Id
    project: Id | None = None
    service: str
    key: str
    version: int
    value: Any = None
    deleted: bool = False
    updated_at: str
    updated_by: str


class Past(BaseModel):
    """An earlier version of an entry."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    version: int
    value: Any = None
    deleted: bool = False
    updated_at: str
    updated_by: str


class SecretInfo(BaseModel):
    """What may be known of a secret. `id` is the reference that everything else holds; the value is never listed."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    id: Id
    organisation: Id
    project: Id | None = None
    name: str
    audiences: tuple[str, ...]
    version: int
    updated_at: str
    updated_by: str


# --- shared keys -------------------------------------------------------------------------------------------------


class Value(BaseModel):
    """Base of typed values; fields of a newer version are kept."""

    model_config = ConfigDict(frozen=True, extra="allow")


class StreamConfig(Value):
    """`taurus/stream_{id}`, written by Baile for each online job: which new pictures go to which model and album.

    Pictures of `bucket` whose key begins with `prefix`; results go to `album` and, where `topic` is set, are
    announced there. `secret` is the reference of credentials for the source; None means Taurus' own. `code`:
    the user's own, which `checkpoint` was trained with."""

    stream: Id
    enabled: bool = True
    owner: Id
    project: Id | None = None
    bucket: str
    prefix: str = ""
    album: Id
    model: Id
    model_version: Id
    dataset_version: Id | None = None
    framework: str = "yolo"
    checkpoint: ObjectRef | None = None
    code: ObjectRef | None = None
    parameters: Mapping[str, Any] = Field(default_factory=dict)
    secret: Id | None = None
    topic: str | None = None
    batch_size: int = Field(100, ge=1, le=1_000)
    max_wait_s: float = Field(60.0, ge=0, le=3_600)


class StorageProfile(Value):
    """`storage/profile`: where an organisation's (or the installation's) objects are. `secret` is the reference of
    the keys; None means those of the machine."""

    name: str
    url: str
    public_url: str | None = None
    endpoint: str | None = None
    region: str = "us-east-1"
    secret: Id | None = None


class JobLimits(Value):
    """`job.{kind}/limits`: what a job of this kind gets when its request does not say. Times are seconds."""

    max_run_s: float | None = Field(None, gt=0)
    queue_timeout_s: float | None = Field(None, gt=0)
    priority: int | None = None


class Quotas(Value):
    """`baile/quotas`: how much an organisation may bring in; None is no limit. A picture counts in each album that
    shows it, results too; bytes are those of pictures, files and models, as often as they are listed."""

    pictures: int | None = Field(None, ge=0)
    bytes: int | None = Field(None, ge=0)


@dataclass(frozen=True, slots=True)
class SharedKey:
    """A key whose type is known to all. A trailing `*` in `service` or `key` stands for the rest of the name."""

    service: str
    key: str
    model: type[Value]

    def schema(self) -> dict[str, Any]:
        """The JSON schema of its values."""
        return TypeAdapter(self.model).json_schema()


SHARED_KEYS = (
    SharedKey("taurus", "stream_*", StreamConfig),
    SharedKey("storage", "profile", StorageProfile),
    SharedKey("job.*", "limits", JobLimits),
    SharedKey("baile", "quotas", Quotas),
)
