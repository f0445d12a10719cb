"""The job document: the one record that decides what a job is, as Orion writes it and Aries stores it.

The core works on these frozen dataclasses; `dump` and `load` are the stored form. Fields that this version does not
know are kept in `extra`, so that an older service does not lose what a newer one wrote.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, make_dataclass
from enum import StrEnum
from operator import attrgetter
from typing import Any, Final, Literal

from pydantic import TypeAdapter

from studio9_common.contracts.reasons import Reason
from studio9_common.contracts.unknown import put_back, shape, unknown

SCHEMA = 1
MAX_EVENTS = 200
"""Life-cycle events kept in a job; a repeated refusal raises the count of the last one instead of adding one."""
CODE: Final = "code"
"""The input that holds code of the user's own."""
PLATFORMS_INPUTS: Final = frozenset(
    {CODE, "model", "checkpoint", "children", "pictures", "train", "val", "test", "predict", "video", "frames", "state"}
)
"""Names of inputs that the platform's own trainers read: these come from the installation's storage alone, so nothing
that a user's bucket holds is ever read by code that runs outside of a container."""


class State(StrEnum):
    """What users see."""

    submitted = "submitted"
    queued = "queued"
    running = "running"
    completed = "completed"
    failed = "failed"
    cancelled = "cancelled"


TERMINAL = frozenset({State.completed, State.failed, State.cancelled})


class Phase(StrEnum):
    """What the core works on. `cleaning` and `clean` belong to the terminal states."""

    submitted = "submitted"
    queued = "queued"
    backing_off = "backing_off"
    assigned = "assigned"
    starting = "starting"
    running = "running"
    cancelling = "cancelling"
    cleaning = "cleaning"
    clean = "clean"


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectRef:
    """An object and its content. sha256 is lower-case hex, size is bytes."""

    key: str
    sha256: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where an input lies in a bucket of a user's own: one object (`key`), or all whose keys begin with `prefix`, which
    ends in `/` or is empty. `credential` is the reference of a secret in Argo (access_key, secret_key, token), never
    what it holds. `endpoint` None: AWS, or where the operator says that users' buckets answer. `sha256` of the object,
    where it is known, is checked."""

    bucket: str
    region: str
    credential: str
    key: str | None = None
    prefix: str | None = None
    endpoint: str | None = None
    sha256: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """What the worker stages. `file`: the model to `inputs/model/model.pt`, another plain name to
    `inputs/{name}/{name}{suffix of its key}`, a name with slashes to that path below `inputs/`. `pictures`: a manifest
    of studio9_task.PictureRecord lines to `inputs/{name}/manifest.jsonl`, and every picture it names to
    `inputs/pictures/{sha256}`. All keys must be the job's organisation's own. `folder`: every object of a source's
    prefix to `inputs/{name}/{the rest of its key}`.

    It has either a `ref` in the installation's storage or a `source` in a user's bucket; see `contracts.sources`."""

    name: str
    kind: Literal["file", "pictures", "folder"]
    ref: ObjectRef | None = None
    source: Source | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirements:
    """What a slot must offer. Memory is GiB."""

    gpus: int = 0
    gpu_memory_gib: float = 0.0
    cpus: float = 1.0
    memory_gib: float = 0.0
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """What the worker stamps on every prediction. `source` is batch or online."""

    source: Literal["batch", "online"] = "batch"
    model_id: str | None = None
    model_version: str | None = None
    dataset_version: str | None = None
    stream: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """What to do: becomes the task's request.json. Times are seconds. `image` is a digest; None means the trainers'
    environment of the worker itself; `image_secret` is the reference of its registry's credentials in Argo.
    `child_failure`: what becomes of the job when a child of it does not complete."""

    kind: str
    framework: str = "yolo"
    parameters: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    inputs: tuple[Input, ...] = ()
    requirements: Requirements = Requirements()
    image: str | None = None
    image_secret: str | None = None
    max_run_s: float = 86_400.0
    queue_timeout_s: float | None = None
    provenance: Provenance = Provenance()
    child_failure: Literal["go_on", "fail"] = "go_on"

    @property
    def untrusted(self) -> bool:
        """Whether it may run in a container only: it brings an image or code of the user's own."""
        return self.image is not None or any(one.name.partition("/")[0] == CODE for one in self.inputs)

    @property
    def secrets(self) -> tuple[str, ...]:
        """The references of all secrets that an attempt needs while it is staged, each once."""
        named = (self.image_secret, *(one.source.credential for one in self.inputs if one.source is not None))
        return tuple(dict.fromkeys(one for one in named if one))


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildRequest:
    """A child job that a task has asked for at its end. `bring`: which of its outputs, by their paths, the parent's
    next task gets as inputs."""

    name: str
    spec: Spec
    bring: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """One of the children that the job's last task has asked for. `state` is None until it has ended; then `manifest`
    is that of its result, or `reason` says why there is none."""

    job: str
    name: str
    spec: Spec
    bring: tuple[str, ...] = ()
    state: State | None = None
    reason: Reason | None = None
    manifest: ObjectRef | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    """How a task ended. Memory is bytes; `log_tail` holds the last lines, at most 200 and 8 KiB."""

    code: int | None = None
    signal: int | None = None
    peak_memory: int | None = None
    log_tail: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One run of a job on one worker. `fence` is larger than that of every earlier attempt."""

    number: int
    fence: int
    provider: str = "workers"
    worker: str
    assigned_at: str
    started_at: str | None = None
    ended_at: str | None = None
    outcome: Literal["succeeded", "failed", "cancelled", "lost", "refused"] | None = None
    reason: Reason | None = None
    checkpoint: ObjectRef | None = None
    exit: Exit | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A life-cycle event: what happened and what it led to. `count` > 1 where the same happened again."""

    n: int
    time: str
    type: str
    phase: Phase
    state: State
    attempt: int | None = None
    reason: Reason | None = None
    detail: str = ""
    count: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A message that must still be published. `n` is unique within the job; with the attempt's fence it makes the
    receiver's handling idempotent. `type` and `data` are those of studio9_common.contracts.messages."""

    n: int
    type: str
    data: Mapping[str, Any]
    created_at: str


OUTPUT_ORDER: Final = {"loading": 0, "failed": 1, "loaded": 2}
"""Which of two reports on an output counts, in whatever order they come: it may be loaded after a failure, and is never
unloaded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """What became of one output in the warehouse (recorded by Pegasus through the bus)."""

    state: Literal["loading", "loaded", "failed"]
    rows: int | None = None
    message: str = ""
    time: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The current result: the manifest of what the attempt produced, and a small summary (at most 32 KiB)."""

    attempt: int
    fence: int
    manifest: ObjectRef | None = None
    summary: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """See the module's docstring. Times are RFC 3339 text stamped by Orion. `context` is the requester's own small
    mapping; it comes back in every event about the job and means nothing to Orion. `traceparent` is the request's."""

    id: str
    organisation: str
    project: str | None = None
    owner: str
    spec: Spec
    request_hash: str
    priority: int = 0
    priority_class: str = "cpu"
    parent: str | None = None
    depends_on: tuple[str, ...] = ()
    retried_from: str | None = None
    compute_profile: str | None = None
    strategy: str | None = None
    price: float | None = None
    cost_limit: float | None = None
    context: Mapping[str, Any] = field(default_factory=dict)
    traceparent: str | None = None

    state: State = State.submitted
    phase: Phase = Phase.submitted
    reason: Reason | None = None
    fence: int = 0
    attempts: tuple[Attempt, ...] = ()
    deadlines: Mapping[str, str] = field(default_factory=dict)
    not_before: str | None = None
    cancel_requested_at: str | None = None
    checkpoint: ObjectRef | None = None
    children: tuple[Child, ...] = ()
    children_made: int = 0
    result: Result | None = None
    outputs: Mapping[str, Output] = field(default_factory=dict)
    events: tuple[Event, ...] = ()
    outbox: tuple[Command, ...] = ()
    next_command: int = 1

    created_at: str
    updated_at: str
    queued_at: str | None = None
    started_at: str | None = None
    ended_at: str | None = None

    schema: int = SCHEMA
    extra: Mapping[str, Any] = field(default_factory=dict)


_FIELDS = tuple(Job.__dataclass_fields__)
_values = attrgetter(*_FIELDS)
_OpenJob: Any = make_dataclass("_OpenJob", _FIELDS, slots=True)
"""A job in the making, its fields not frozen yet: the same slots, so that it becomes a job by its class alone."""


def changed(job: Job, changes: Mapping[str, Any]) -> Job:
    """The job with other values of some fields: `dataclasses.replace` in an eighth of the time. Raises TypeError for a
    name that is no field."""
    made = _OpenJob(*_values(job))
    try:
        for name, value in changes.items():
            setattr(made, name, value)
    except AttributeError:
        raise TypeError(f"a job has no fields {sorted(changes.keys() - set(_FIELDS))}") from None
    made.__class__ = Job
    new: Job = made
    return new


_ADAPTER: TypeAdapter[Job] = TypeAdapter(Job)
_SPEC = shape(
    Spec,
    inputs=shape(Input, key="name", ref=shape(ObjectRef), source=shape(Source)),
    requirements=shape(Requirements),
    provenance=shape(Provenance),
)
_SHAPE = shape(
    Job,
    spec=_SPEC,
    reason=shape(Reason),
    attempts=shape(Attempt, key="fence", reason=shape(Reason), checkpoint=shape(ObjectRef), exit=shape(Exit)),
    checkpoint=shape(ObjectRef),
    children=shape(Child, key="job", spec=_SPEC, reason=shape(Reason), manifest=shape(ObjectRef)),
    result=shape(Result, manifest=shape(ObjectRef)),
    events=shape(Event, key="n", reason=shape(Reason)),
    outbox=shape(Command, key="n"),
)


def dump(job: Job, *, brief: bool = False) -> dict[str, Any]:
    """The JSON form of a job; `brief` leaves out fields that are None, a third of most jobs."""
    body: dict[str, Any] = _ADAPTER.dump_python(job, mode="json", exclude_none=brief)
    return put_back(body, body.pop("extra"), _SHAPE)


def load(body: Mapping[str, Any]) -> Job:
    """The job of its JSON form, unknown fields kept wherever they are. Raises pydantic.ValidationError, which names the
    field."""
    return _ADAPTER.validate_python({**body, "extra": unknown(body, _SHAPE)})


def known(body: Mapping[str, Any]) -> Job:
    """As `load`, in three quarters of the time, without what is unknown: to be looked at, never to be written back."""
    return _ADAPTER.validate_python({**body, "extra": {}})
