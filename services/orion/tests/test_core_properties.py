"""Whatever is told in whatever order: the core's invariants hold after every step, and every job comes to an end."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from studio9_common.contracts.job import (
    MAX_EVENTS,
    TERMINAL,
    ChildRequest,
    Exit,
    Job,
    ObjectRef,
    Phase,
    Spec,
    State,
    dump,
    load,
)
from studio9_common.contracts.reasons import RULES, ReasonClass, reason
from studio9_common.ids import new_id
from studio9_common.times import format_time, parse_time
from studio9_orion.core import Decision, Policy, attempts, decide, fold
from studio9_orion.core.events import (
    Assigned,
    Beat,
    CancelRequested,
    ChildEnded,
    Cleaned,
    CoreEvent,
    DeadLettered,
    OutputReported,
    PriorityChanged,
    RelatedSeen,
    Requested,
    ResultReceived,
    Tick,
    Unroutable,
)
from studio9_orion.core.life import OVER
from studio9_orion.core.table import TABLE, allowed

START = parse_time("2026-11-21T10:00:00.000000Z")
ID = new_id()
POLICY = Policy()
REFS = [ObjectRef(key=f"acme/jobs/{ID}/{n}/last.pt", sha256=str(n) * 64, size=n) for n in range(1, 4)]
CHILDREN = tuple(ChildRequest(name=name, spec=Spec(kind="trial")) for name in ("x", "y"))
ORGANISATIONS = st.sampled_from(["acme"] * 9 + ["evil"])
WORKERS = st.sampled_from(["w1", "w2", "w3"])
REASONS = st.sampled_from([None, *(reason(code) for code in sorted(RULES))])
SPECS = {
    "train": Spec(kind="train", max_run_s=600, queue_timeout_s=3_600),
    "predict": Spec(kind="predict", max_run_s=600, queue_timeout_s=3_600),
    "tune": Spec(kind="tune", max_run_s=600, queue_timeout_s=3_600, child_failure="fail"),
}


def events(kind: str, depends_on: tuple[str, ...], parent: str | None) -> st.SearchStrategy[Any]:
    """Events of one job; fences are given relative to the job's, so that they are often the current one."""
    requested = st.builds(
        Requested,
        job=st.just(ID),
        organisation=ORGANISATIONS,
        owner=st.just("ana"),
        spec=st.just(SPECS[kind]),
        request_hash=st.sampled_from(["h", "h", "h", "other"]),
        depends_on=st.just(depends_on),
        parent=st.just(parent),
    )
    states = st.sampled_from([None, State.running, State.completed, State.completed, State.failed])
    fence = st.sampled_from([0, 0, 0, 0, -1, -2])
    exits = st.sampled_from([None, Exit(code=1, log_tail=("x" * 500,) * 60)])
    return st.one_of(
        requested,
        st.builds(Assigned, worker=WORKERS),
        st.builds(Assigned, worker=WORKERS),
        st.builds(
            Beat,
            worker=WORKERS,
            fence=fence,
            phase=st.sampled_from(["staging", "running", "uploading", "ended"]),
            checkpoint=st.sampled_from([None, *REFS]),
        ),
        st.builds(
            ResultReceived,
            worker=WORKERS,
            organisation=ORGANISATIONS,
            fence=fence,
            outcome=st.sampled_from(["succeeded", "failed", "failed", "cancelled", "refused"]),
            reason=REASONS,
            exit=exits,
            manifest=st.sampled_from([None, *REFS]),
            children=st.sampled_from([(), (), CHILDREN]),
        ),
        st.builds(Tick, heard_until=st.sampled_from([None, 5, -5, 100]), deaf_until=st.sampled_from([None, None, 10])),
        st.builds(Tick, heard_until=st.none(), deaf_until=st.none()),
        st.builds(Unroutable, fence=fence),
        st.builds(CancelRequested, job=st.just(ID), organisation=ORGANISATIONS, requested_by=st.just("ana")),
        st.builds(RelatedSeen, states=st.fixed_dictionaries({"a": states, "p": states})),
        st.builds(
            ChildEnded, child=st.sampled_from(["c", "d"]), organisation=ORGANISATIONS, state=st.sampled_from(State)
        ),
        st.builds(
            PriorityChanged, organisation=ORGANISATIONS, priority=st.integers(-1, 1), requested_by=st.just("ana")
        ),
        st.builds(
            OutputReported,
            organisation=ORGANISATIONS,
            output=st.sampled_from(["predictions", "more"]),
            state=st.sampled_from(["loading", "loaded", "failed"]),
        ),
        st.just(Cleaned()),
        st.just(DeadLettered(type="t", why="w")),
    )


def made_absolute(event: Any, job: Job | None, now: Any) -> CoreEvent:
    """Relative fences and times become those of this job and moment; a worker is mostly the attempt's own, and a child
    one that was asked for."""
    changes: dict[str, Any] = {}
    if isinstance(event, ChildEnded) and job is not None and job.children:
        changes["child"] = job.children[0 if event.child == "c" else -1].job
    if isinstance(event, Beat | ResultReceived | Unroutable):
        changes["fence"] = max((job.fence if job else 0) + event.fence, 0)
        own = next(
            (attempt.worker for attempt in (job.attempts if job else ()) if attempt.fence == changes["fence"]), 0
        )
        if own and not isinstance(event, Unroutable) and event.worker != "w3":
            changes["worker"] = own
    if isinstance(event, Tick):
        for name in ("heard_until", "deaf_until"):
            value: Any = getattr(event, name)
            changes[name] = None if value is None else format_time(now + timedelta(seconds=value))
    return replace(event, **changes)


def check(before: Job | None, event: CoreEvent, decision: Decision) -> None:
    job = decision.job
    if job is None:
        assert before is None
        return
    assert job.phase in allowed(before.phase if before else None, event.name)
    folded = fold(job.events)
    assert (folded.state, folded.phase, folded.reason) == (job.state, job.phase, job.reason)
    assert (job.phase in OVER) == (job.state in TERMINAL) == (job.ended_at is not None)
    assert bool(job.deadlines) == (job.phase is not Phase.clean), "everything that is not clean has a deadline"
    opened = [attempt for attempt in job.attempts if attempt.ended_at is None]
    assert len(opened) <= 1
    assert all(attempt.fence == job.fence for attempt in opened)
    assert (len(opened) == 1) == (job.phase in {Phase.assigned, Phase.starting, Phase.running, Phase.cancelling})
    fences = [attempt.fence for attempt in job.attempts]
    assert fences == sorted(set(fences))
    assert len(job.events) <= MAX_EVENTS
    assert len(json.dumps(dump(job))) <= 64 * 1024
    numbers = [command.n for command in job.outbox]
    assert numbers == sorted(set(numbers))
    assert all(0 < n < job.next_command for n in numbers)
    assert all(command in job.outbox for command in decision.commands)
    waits = any(child.state is None for child in job.children)
    if job.phase is Phase.backing_off and "back_off" not in job.deadlines:
        assert waits, "something brings it back"
    recent = job.attempts[max((n for n, a in enumerate(job.attempts) if a.outcome == "succeeded"), default=0) :]
    classes = [a.reason.class_ for a in recent if a.outcome in {"failed", "lost"} and a.reason]
    assert classes.count(ReasonClass.platform) <= 2
    assert sum(RULES[a.reason.code].retries == 0 for a in job.attempts if a.reason and a.outcome == "failed") <= 1
    if before is None:
        return
    assert job.fence - before.fence == (1 if isinstance(event, Assigned) and decision.changed else 0)
    if before.state in TERMINAL:
        assert (job.state, job.reason, job.result, job.ended_at) == (
            before.state,
            before.reason,
            before.result,
            before.ended_at,
        )
        assert job.attempts == before.attempts
    assert decision.changed == (job != before)


def drained(job: Job) -> Job:
    """Only time passes (and the cleaner works, and children end): every job comes to its end."""
    for _ in range(250):
        if job.phase is Phase.clean:
            return job
        now = parse_time(min(job.deadlines.values())) + timedelta(milliseconds=1)
        job = decide(job, Tick(), now, POLICY).job or job
        for child in job.children:
            ended = ChildEnded(child=child.job, organisation=job.organisation, state=State.completed)
            job = decide(job, ended, now, POLICY).job or job
        job = decide(job, Cleaned(parent=job.parent), now, POLICY).job or job
    raise AssertionError(f"stuck in {job.phase}")


@settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_order(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(["train", "train", "predict", "predict", "tune"]))
    depends_on = data.draw(st.sampled_from([(), (), ("a",)]))
    parent = data.draw(st.sampled_from([None, None, "p"]))
    told = data.draw(st.lists(st.tuples(events(kind, depends_on, parent), st.sampled_from([0, 1, 3, 30, 400]))))
    job: Job | None = None
    now = START
    for raw, pause in told:
        now += timedelta(seconds=pause)
        event = made_absolute(raw, job, now)
        decision = decide(job, event, now, POLICY)
        check(job, event, decision)
        assert decision == decide(job, event, now, POLICY), "the same again gives the same"
        if decision.job is not None:
            assert load(json.loads(json.dumps(dump(decision.job)))) == decision.job
            again = decide(decision.job, event, now, POLICY)
            if not isinstance(event, Tick | DeadLettered):
                assert not again.changed, "a duplicate changes nothing"
        job = decision.job
    if job is not None:
        end = drained(job)
        assert end.state in TERMINAL


def test_every_cell_of_the_table_can_be_reached(new_life: Any) -> None:
    """A fixed search over short histories reaches every (phase, event, next phase) that the table allows."""
    missing = {(phase, event, to) for phase, row in TABLE.items() for event, tos in row.items() for to in tos}
    failing = [reason("staging_error"), reason("user_error"), reason("preempted"), None]
    moves: list[Any] = [
        lambda life: life.request(),
        lambda life: life.request(depends_on=("a",)),
        lambda life: life.request(depends_on=(life.id,)),
        lambda life: life.cancel(),
        lambda life: life.tell(RelatedSeen(states={"a": State.completed})),
        lambda life: life.tell(RelatedSeen(states={"a": State.failed})),
        lambda life: life.request(spec=SPECS["tune"]),
        lambda life: life.request(spec=SPECS["tune"], depends_on=("a",)),
        lambda life: life.tell(ChildEnded(child="c", organisation="acme", state=State.failed)),
        lambda life: life.assign(f"w{len(life.job.attempts) + 1}"),
        lambda life: life.tell(Unroutable(fence=life.job.fence)),
        *(lambda life, p=p: life.beat(p) for p in ("staging", "running", "ended")),
        lambda life: life.result(),
        lambda life: life.result(children=CHILDREN[:1]),
        lambda life: life.tell(ChildEnded(child=life.job.children[0].job, organisation="acme", state=State.completed)),
        lambda life: life.result("refused"),
        *(lambda life, o=o, r=r: life.result(o, r) for o in ("failed", "cancelled") for r in failing),
        lambda life: life.pass_deadline(),
        lambda life: life.pass_deadline("queued"),
        lambda life: life.tell(Cleaned(parent=life.job.parent)),
    ]

    def step(life: Any, move: Any) -> Any:
        copy = new_life(life.policy)
        copy.id, copy.now, copy.stored, copy.last = life.id, life.now, life.stored, life.last
        before = copy.stored.phase if copy.stored else None
        told: list[str] = []
        tell = copy.tell

        def listen(event: CoreEvent, **given: Any) -> Any:
            told.append(event.name)
            return tell(event, **given)

        copy.tell = listen
        try:
            move(copy)
        except (AssertionError, KeyError, ValueError, IndexError):
            return None
        if copy.stored is not None:
            missing.discard((before, told[-1], copy.stored.phase))
        return copy

    families = [new_life(), new_life()]
    seen: set[Any] = set()
    parented = new_life().request(parent="p")
    queued = step(parented, lambda life: life.tell(RelatedSeen(states={"p": State.running})))
    families += [parented, queued]
    moves.append(lambda life: life.tell(RelatedSeen(states={"p": State.failed})))
    while families and missing:
        life = families.pop(0)
        for move in moves:
            after = step(life, move)
            if after is None or after.stored is None:
                continue
            job = after.stored
            last = job.attempts[-1].outcome if job.attempts else None
            used = attempts.spent(job, ReasonClass.infrastructure), len(attempts.lost_workers(job))
            shape = (job.phase, job.state, used, last, job.parent, bool(job.depends_on), job.spec.child_failure)
            if shape not in seen:
                seen.add(shape)
                families.append(after)
    assert not missing
