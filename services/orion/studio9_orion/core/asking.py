"""A task may end by asking for children: they become jobs of their own, and when all have ended, their parent's next
attempt gets what came of them, and goes on from its own last checkpoint.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace

from pydantic import TypeAdapter

from studio9_common.contracts.job import TERMINAL, Child, ChildRequest, Job, Phase, Spec
from studio9_common.contracts.messages import JobQueued, JobRequested
from studio9_common.contracts.reasons import Reason, reason
from studio9_common.ids import new_id
from studio9_orion.core import ending, intake
from studio9_orion.core.draft import Draft
from studio9_orion.core.events import ChildEnded

MESSAGE = 300
"""Characters that are kept of why a child has ended; all of it is in the child's own document."""
ASKED = "asked"
"""In a child's context: by which of its parent's fences it was asked for, and under which name."""
_TIME = len("01234567-89ab")
"""Of an id's text: the time of its making; what follows is the rest."""
_REQUESTS: TypeAdapter[Sequence[ChildRequest]] = TypeAdapter(Sequence[ChildRequest])


def ask(draft: Draft, requests: Sequence[ChildRequest]) -> None:
    """Makes the children and waits for them; the attempt was closed before. Its wait for a slot is over: the next one
    begins when they have ended."""
    fence = draft.job.fence
    made = tuple(
        Child(job=_id(draft, one.name), name=one.name, spec=_spec(draft, one), bring=one.bring) for one in requests
    )
    ending.drop_run(draft)
    forget(draft)
    draft.record("children_asked", attempt=draft.job.attempts[-1].number, detail=f"{len(made)} by fence {fence}")
    draft.set(children=made, children_made=draft.job.children_made + len(made))
    draft.set(not_before=None, queued_at=None)
    for child in made:
        draft.command(JobRequested, _request(draft, child))
    draft.command(JobQueued, {"attempt": draft.job.attempts[-1].number})
    draft.wait(related=draft.policy.related_s)


def refused(draft: Draft, requests: Sequence[ChildRequest]) -> Reason | None:
    """Why these children cannot be: it is the task that asked wrongly."""
    policy, names = draft.policy, [one.name for one in requests]
    if draft.job.parent is not None:
        return reason("bad_output", "children: a child cannot ask for children of its own.")
    if len(set(names)) < len(names):
        return reason("bad_output", "children: two of them have the same name.")
    if any(one.spec.kind in ending.LOADED_KINDS for one in requests):
        return reason("bad_output", "children: a child cannot predict, its table would have no model.")
    own = {one.source for one in draft.job.spec.inputs if one.source is not None}
    if any(given.source is not None and given.source not in own for one in requests for given in one.spec.inputs):
        return reason("bad_output", "children: a child can have no other input from a bucket than its parent has.")
    if len(requests) > policy.max_children:
        return reason("bad_output", f"children: {len(requests)} at once; at most {policy.max_children}.")
    if draft.job.children_made + len(requests) > policy.max_children_in_all:
        return reason("bad_output", f"children: over {policy.max_children_in_all} of one job.")
    size = len(_REQUESTS.dump_json(requests))
    if size > policy.max_children_bytes:
        return reason("bad_output", f"children: {size} bytes of requests, over {policy.max_children_bytes}.")
    return None


def waits(draft: Draft) -> bool:
    """Whether the job waits for children: nothing else keeps it."""
    return draft.job.phase is Phase.backing_off and any(one.state is None for one in draft.job.children)


def ended(draft: Draft, event: ChildEnded) -> bool:
    """Notes how a child ended; whether it is one that the job's last task has asked for, and this was news. With the
    last of them the job waits for a slot anew."""
    if event.state not in TERMINAL or not any(
        one.job == event.child and one.state is None for one in draft.job.children
    ):
        return False
    waited = waits(draft)
    draft.set(
        children=tuple(
            replace(one, state=event.state, reason=_short(event.reason), manifest=event.manifest)
            if one.job == event.child
            else one
            for one in draft.job.children
        )
    )
    if waited and not waits(draft):
        intake.enqueue(draft)
    return True


def request_again(draft: Draft, unknown: Sequence[str]) -> None:
    """Children of which the store knows nothing: their requests may be lost."""
    if not waits(draft):
        return
    pending = {command.data.get("job") for command in draft.job.outbox if command.type == JobRequested.type}
    for child in draft.job.children:
        if child.state is None and child.job in unknown and child.job not in pending:
            draft.command(JobRequested, _request(draft, child))


def asked_for(job: Job) -> bool:
    """Whether a task of its parent has asked for this job, and nobody else: its id follows from that, so that a context
    that was copied, or made up, proves nothing."""
    asked = job.context.get(ASKED)
    if job.parent is None or not isinstance(asked, str):
        return False
    return job.id[_TIME:] == new_id(now_ms=0, entropy=_entropy(job.parent, asked))[_TIME:]


def forget(draft: Draft) -> None:
    """The children of an earlier round: requests that still lie in the outbox were sent, for they have all ended."""
    kept = tuple(command for command in draft.job.outbox if command.type != JobRequested.type)
    draft.set(children=(), outbox=kept)


def _short(why: Reason | None) -> Reason | None:
    return None if why is None else replace(why, message=why.message[:MESSAGE])


def _spec(draft: Draft, request: ChildRequest) -> Spec:
    own = draft.job.spec
    return replace(
        request.spec,
        requirements=own.requirements,
        image=own.image,
        image_secret=own.image_secret,
        max_run_s=own.max_run_s,
        queue_timeout_s=own.queue_timeout_s,
        provenance=own.provenance,
    )


def _request(draft: Draft, child: Child) -> Mapping[str, str]:
    """While its children are awaited a job's fence is that of the attempt that has asked for them."""
    return {"job": child.job, ASKED: _asked(draft, child.name)}


def _id(draft: Draft, name: str) -> str:
    """Follows from what is decided, for the core knows no randomness; the job's document says what it came to be."""
    entropy = _entropy(draft.job.id, _asked(draft, name))
    return new_id(now_ms=int(draft.now.timestamp() * 1000), entropy=entropy)


def _asked(draft: Draft, name: str) -> str:
    return f"{draft.job.fence}:{name}"


def _entropy(parent: str, asked: str) -> bytes:
    return hashlib.sha256(f"{parent}:{asked}".encode()).digest()[:10]
