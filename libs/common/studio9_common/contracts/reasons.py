"""Why an attempt or a job ended: a class and a code. One table maps code → class → retried.

`infrastructure`: not the user's fault, retried with back-off from the last checkpoint. `platform`: our bug, retried
once. `user` and `policy`: never retried, the message says what to fix. An unknown code goes by its class.
"""

from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class ReasonClass(StrEnum):
    infrastructure = "infrastructure"
    user = "user"
    policy = "policy"
    platform = "platform"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """`message` is for the user: what happened and what to do about it."""

    class_: ReasonClass
    code: str
    message: str = ""


RETRIES: MappingProxyType[ReasonClass, int] = MappingProxyType(
    {ReasonClass.infrastructure: 3, ReasonClass.platform: 1, ReasonClass.user: 0, ReasonClass.policy: 0}
)
"""How often a job is tried again per class; attempts are one more."""


@dataclass(frozen=True, slots=True)
class Rule:
    """`retries` None: as its class; 0: never; `unlimited` for what is nobody's failure."""

    class_: ReasonClass
    message: str
    retries: int | None = None
    unlimited: bool = False


_infrastructure, _user = ReasonClass.infrastructure, ReasonClass.user
_policy, _platform = ReasonClass.policy, ReasonClass.platform

RULES: MappingProxyType[str, Rule] = MappingProxyType(
    {
        "worker_lost": Rule(_infrastructure, "The worker stopped answering; the job goes on elsewhere."),
        "workers_lost": Rule(
            _infrastructure, "Two different workers were lost with this job; look at its memory use.", 0
        ),
        "start_timeout": Rule(_infrastructure, "The worker did not start the task in time."),
        "staging_error": Rule(_infrastructure, "The inputs could not be brought to the worker."),
        "upload_error": Rule(_infrastructure, "The outputs could not be brought to the object storage."),
        "runner_error": Rule(_infrastructure, "The worker could not run a task; look at its Docker Engine."),
        "disk_full": Rule(_infrastructure, "The worker's disk is full."),
        "preempted": Rule(_infrastructure, "The slot was taken for more urgent work.", unlimited=True),
        "worker_stopped": Rule(_infrastructure, "The worker was shut down; the job goes on elsewhere.", unlimited=True),
        "no_slot": Rule(_infrastructure, "The worker had no free slot after all.", unlimited=True),
        "unroutable": Rule(_infrastructure, "The worker was gone before the command reached it.", unlimited=True),
        "out_of_memory": Rule(_user, "The task ran out of memory; use a smaller batch or picture size.", 0),
        "user_error": Rule(_user, "The task reported an error in the data or the parameters."),
        "bad_input": Rule(_user, "The job's request cannot be run; correct the named field."),
        "bad_output": Rule(_user, "The task announced an output that is not there or not allowed."),
        "credential_missing": Rule(
            _user, "A stored credential that the job names is not there (any more); store it, and ask again."
        ),
        "source_refused": Rule(_user, "The bucket does not open with the stored credential; check what it allows."),
        "source_missing": Rule(_user, "An input is not in its bucket; check the bucket and the key."),
        "source_too_large": Rule(_user, "The inputs from buckets are over the worker's limit; bring less."),
        "image_missing": Rule(_user, "The image is not to be had; check its name and digest."),
        "image_unusable": Rule(
            _user, "The image cannot run a task; it needs python3 with studio9_task, and the program studio9-task."
        ),
        "log_flood": Rule(_user, "The task wrote more log than is kept."),
        "disk_limit": Rule(_user, "The task wrote more than its disk limit."),
        "process_limit": Rule(_user, "The task started more processes than it may."),
        "task_failed": Rule(_user, "The task ended with an error; its last log lines say why."),
        "timeout": Rule(_policy, "The task ran longer than its time limit."),
        "queue_timeout": Rule(_policy, "The job waited longer than its queue limit for a suitable slot."),
        "budget_exceeded": Rule(_policy, "The cost limit was reached."),
        "cancelled": Rule(_policy, "The job was cancelled."),
        "parent_ended": Rule(_policy, "The job that this one belongs to has ended."),
        "child_failed": Rule(_policy, "A job that is a part of this one did not complete, and this one ends with it."),
        "dependency_failed": Rule(_policy, "A job that this one depends on did not complete."),
        "isolation_required": Rule(_policy, "This task may only run in a container, and no such worker is here."),
        "task_crashed": Rule(_platform, "The task's own machinery failed; this is our error."),
        "internal": Rule(_platform, "Something went wrong inside Studio9; this is our error."),
    }
)


def reason(code: str, message: str | None = None, *, class_: ReasonClass | None = None) -> Reason:
    """The reason for a code. An unknown code takes `class_`, or `platform` if none is given."""
    rule = RULES.get(code)
    if rule is None:
        return Reason(class_=class_ or ReasonClass.platform, code=code, message=message or code.replace("_", " "))
    return Reason(class_=rule.class_, code=code, message=message or rule.message)


def retries_of(given: Reason) -> int | None:
    """How many retries this reason allows in all; None for any number."""
    rule = RULES.get(given.code)
    if rule is None or rule.class_ is not given.class_:
        return RETRIES[given.class_]
    if rule.unlimited:
        return None
    return RETRIES[given.class_] if rule.retries is None else rule.retries
