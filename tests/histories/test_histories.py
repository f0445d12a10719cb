"""What older versions wrote is read today, and what today's version writes would still be read by them."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from studio9_common.contracts.collections import JOBS, job_document, job_of
from studio9_common.contracts.envelope import decode, encode
from studio9_common.contracts.job import SCHEMA, TERMINAL, Job, Phase, dump, load
from studio9_common.contracts.messages import MESSAGES, JobRequested
from studio9_common.times import parse_time
from studio9_orion.core import fold
from studio9_orion.core.fold import BrokenHistory
from studio9_orion.dispatcher import request_hash

FOLDERS = sorted(Path(__file__).parent.glob("schema-*"))


def recorded(file: str, name: str) -> list[Any]:
    """All items of all versions, each with a name for the test's output."""
    items = [(folder.name, item) for folder in FOLDERS for item in json.loads((folder / file).read_text())[name]]
    return [
        pytest.param(item, id=f"{version}-{item.get('type', number)}") for number, (version, item) in enumerate(items)
    ]


DOCUMENTS = recorded("jobs.json", "documents")
MESSAGES_THEN = recorded("messages.json", "messages")


def missing(old: Any, new: Any, where: str = "") -> Iterator[str]:
    """What the old value holds and the new one does not, by its place; more in the new one is allowed. Where a field is
    absent every version reads null."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in old:
            if key not in new and old[key] is not None:
                yield f"{where}.{key}"
            else:
                yield from missing(old[key], new.get(key), f"{where}.{key}")
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for number, (before, after) in enumerate(zip(old, new, strict=True)):
            yield from missing(before, after, f"{where}[{number}]")
    elif old != new:
        yield f"{where}: {old!r} became {new!r}"


def test_every_version_since_the_first_is_here() -> None:
    assert [folder.name for folder in FOLDERS] == [f"schema-{number}" for number in range(1, SCHEMA + 1)]
    jobs = [job_of(one.values[0]) for one in DOCUMENTS]
    assert {job.state for job in jobs} == TERMINAL
    told = {event.type for job in jobs for event in job.events}
    assert {
        "lost",
        "returned",
        "superseded",
        "unroutable",
        "attempt_failed",
        "cancel_requested",
        "priority_changed",
    } <= told


@pytest.mark.parametrize("document", DOCUMENTS)
def test_an_old_history_still_folds_to_the_state_it_led_to(document: dict[str, Any]) -> None:
    job = job_of(document)
    folded = fold(job.events)
    assert (folded.state, folded.phase, folded.reason) == (job.state, job.phase, job.reason)
    assert (document["state"], document["phase"]) == (job.state, job.phase)
    for end in range(1, len(job.events)):
        now = fold(job.events[:end])
        assert now.phase is job.events[end - 1].phase


@pytest.mark.parametrize("document", DOCUMENTS)
def test_an_impossible_history_is_still_refused(document: dict[str, Any]) -> None:
    events = job_of(document).events
    back = replace(events[0], n=events[-1].n + 1)
    with pytest.raises(BrokenHistory):
        fold((*events, back))


@pytest.mark.parametrize("document", DOCUMENTS)
def test_an_old_job_is_written_back_with_all_that_it_held(document: dict[str, Any]) -> None:
    """N−1 may read it again: nothing it wrote is gone, and nothing means something else."""
    job = job_of(document)
    assert list(missing(document, json.loads(json.dumps(job_document(job))))) == []
    assert set(job_document(job)) <= set(JOBS.fields)
    assert load(dump(job)) == load(dump(job, brief=True)) == job


@pytest.mark.parametrize("document", DOCUMENTS[:6])
def test_an_old_job_keeps_what_a_newer_version_added(document: dict[str, Any]) -> None:
    """N wrote it, N−1 rewrites it: what it does not know stays, in the job and in its parts."""
    body = json.loads(json.dumps(document["job"]))
    body["energy_wh"] = 12.5
    body["spec"]["gang"] = {"size": 2}
    body["events"][0]["trace"] = "t"
    for attempt in body["attempts"]:
        attempt["price"] = 0.5
    job = load(body)
    assert dump(job) == load_dumped(replace(job, priority=job.priority))
    assert list(missing(body, dump(job))) == []
    rewritten = dump(replace(job, updated_at="2027-01-01T00:00:00.000000Z", phase=Phase.clean))
    assert (rewritten["energy_wh"], rewritten["spec"]["gang"], rewritten["events"][0]["trace"]) == (
        12.5,
        {"size": 2},
        "t",
    )
    assert [attempt["price"] for attempt in rewritten["attempts"]] == [0.5] * len(body["attempts"])


def load_dumped(job: Job) -> dict[str, Any]:
    """A job's body after another turn through the store."""
    return dump(load(json.loads(json.dumps(dump(job)))))


@pytest.mark.parametrize("then", MESSAGES_THEN)
def test_an_old_message_is_read_and_would_be_written_alike(then: dict[str, Any]) -> None:
    """N reads what N−1 sent; what N sends of the same holds all that N−1 looks for."""
    envelope = decode(json.dumps(then).encode())
    sent = encode(
        envelope.data,
        source=envelope.source.removeprefix("/studio9/"),
        organisation=envelope.organisation,
        id=envelope.id,
        traceparent=envelope.traceparent,
        now=parse_time(then["time"]),
    )
    assert list(missing(then, json.loads(sent.body))) == []
    newer = {**then, "invented": 1, "data": {**then["data"], "invented": {"a": 1}}}
    assert decode(json.dumps(newer).encode()).data == envelope.data, "what it does not know, it leaves"


def test_no_message_of_an_old_version_is_unknown_today() -> None:
    assert {one.values[0]["type"] for one in MESSAGES_THEN} <= set(MESSAGES)
    assert len({one.values[0]["type"] for one in MESSAGES_THEN}) >= 16


def test_a_request_that_comes_again_after_an_upgrade_is_the_same_request() -> None:
    """The hash was frozen with the message; what a later version adds to requests, at its default, must not count."""
    then = next(one.values[0] for one in MESSAGES_THEN if one.values[0]["type"] == JobRequested.type)
    request = decode(json.dumps(then).encode()).data
    assert isinstance(request, JobRequested)
    assert request_hash(request) == "7363d5f82dc9baa78fce49998908b85e46745fa9aedb5a22609491671078165e"
    assert request_hash(request.model_copy(update={"priority": 1})) != request_hash(request)
