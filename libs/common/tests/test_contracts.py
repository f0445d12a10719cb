"""Messages, the job document and the manifests keep their form on the way."""

import json
from dataclasses import replace
from typing import Any

import pytest

from studio9_common.contracts import asyncapi, collections, envelope, reasons
from studio9_common.contracts.job import Attempt, Exit, Input, Job, ObjectRef, Phase, Spec, changed, dump, load
from studio9_common.contracts.messages import MESSAGES, JobRequested, Message, WorkerCancel, WorkerRun
from studio9_common.contracts.predictions import COLUMNS, prediction_id
from studio9_common.ids import new_id

NOW = "2026-11-21T10:00:00.000000Z"


def a_spec() -> Spec:
    ref = ObjectRef(key="acme/datasets/1/manifest.jsonl", sha256="0" * 64, size=10)
    return Spec(kind="train", parameters={"epochs": 3}, inputs=(Input(name="train", kind="pictures", ref=ref),))


def a_job(**changes: Any) -> Job:
    given: dict[str, Any] = {
        "id": new_id(),
        "organisation": "acme",
        "owner": "ana",
        "spec": a_spec(),
        "request_hash": "h",
        "created_at": NOW,
        "updated_at": NOW,
    }
    return Job(**(given | changes))


def test_a_message_comes_back_as_it_was_sent() -> None:
    sent = JobRequested(job=new_id(), owner="ana", spec=a_spec(), context={"experiment": "e1"})
    outgoing = envelope.encode(sent, source="baile", organisation="acme", traceparent="00-a-b-01")
    received = envelope.decode(outgoing.body)
    assert received.data == sent
    assert (received.organisation, received.subject, received.traceparent) == ("acme", sent.job, "00-a-b-01")
    assert received.id == outgoing.message_id
    head = json.loads(outgoing.body)
    assert head["specversion"] == "1.0"
    assert head["type"] == "studio9.job.requested.v1"


def test_a_command_is_routed_to_its_worker() -> None:
    assert WorkerCancel(worker="w1", job="j", fence=2).route() == "worker.cancel.w1"


def test_unknown_fields_of_a_newer_sender_are_ignored() -> None:
    outgoing = envelope.encode(WorkerCancel(worker="w", job="j", fence=1), source="orion", organisation="acme")
    body = json.loads(outgoing.body)
    body["data"]["later"] = body["laterextension"] = 1
    assert envelope.decode(json.dumps(body).encode()).data == WorkerCancel(worker="w", job="j", fence=1)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"specversion": "0.3"}, "specversion"),
        ({"type": "studio9.nothing.v1"}, "type"),
        ({"organisation": ""}, "organisation"),
        ({"data": {"worker": "w"}}, "data.job"),
        ({"data": None}, "data"),
    ],
)
def test_what_is_not_ours_is_refused_and_the_field_named(change: dict[str, Any], field: str) -> None:
    outgoing = envelope.encode(WorkerCancel(worker="w", job="j", fence=1), source="orion", organisation="acme")
    with pytest.raises(envelope.BadEnvelope) as caught:
        envelope.decode(json.dumps(json.loads(outgoing.body) | change).encode())
    assert caught.value.field == field


def test_garbage_is_refused() -> None:
    for body in (b"", b"\xff\xfe", b"[]", b"{", b"null"):
        with pytest.raises(envelope.BadEnvelope):
            envelope.decode(body)


def test_a_message_over_64_kib_is_refused() -> None:
    big = JobRequested(job="j", owner="o", spec=a_spec(), context={"list": "x" * 70_000})
    with pytest.raises(envelope.MessageTooLarge):
        envelope.encode(big, source="baile", organisation="acme")


def test_a_job_keeps_what_it_does_not_know() -> None:
    job = a_job(attempts=(Attempt(number=1, fence=1, worker="w", assigned_at=NOW),), fence=1)
    body = dump(job) | {"invented_later": {"a": 1}}
    again = load(json.loads(json.dumps(body)))
    assert again.extra == {"invented_later": {"a": 1}}
    assert dump(again) == body


def test_a_job_keeps_what_it_does_not_know_of_its_parts() -> None:
    attempts = (
        Attempt(number=1, fence=1, worker="w", assigned_at=NOW),
        Attempt(number=2, fence=2, worker="v", assigned_at=NOW, exit=Exit(code=0)),
    )
    body = json.loads(json.dumps(dump(a_job(attempts=attempts, fence=2))))
    body["spec"]["gang"] = {"size": 4}
    body["spec"]["requirements"]["nvlink"] = True
    body["attempts"][0]["price"] = 1.5
    body["attempts"][1]["exit"]["energy_wh"] = 7
    body["later"] = []
    again = load(body)
    assert dump(again) == body
    fewer = dump(replace(again, attempts=again.attempts[1:], priority=3))
    assert fewer == body | {"attempts": body["attempts"][1:], "priority": 3}
    assert "gang" not in dump(replace(again, extra={}))["spec"]


def test_the_stored_form_of_a_job_can_be_searched_and_read_back() -> None:
    job = a_job(
        phase=Phase.running,
        attempts=(Attempt(number=1, fence=1, worker="w1", assigned_at=NOW),),
        deadlines={"running": "2026-11-22T00:00:00.000000Z", "silent": "2026-11-21T10:00:20.000000Z"},
    )
    body = collections.job_document(job)
    assert body["worker"] == "w1"
    assert body["next_deadline"] == "2026-11-21T10:00:20.000000Z"
    assert set(body) <= set(collections.JOBS.fields)
    assert collections.job_of(body) == job


def test_reasons_say_how_often_to_try_again() -> None:
    assert reasons.retries_of(reasons.reason("worker_lost")) == 3
    assert reasons.retries_of(reasons.reason("preempted")) is None
    assert reasons.retries_of(reasons.reason("out_of_memory")) == 0
    unknown = reasons.reason("solar_flare", class_=reasons.ReasonClass.infrastructure)
    assert reasons.retries_of(unknown) == 3
    assert reasons.retries_of(reasons.reason("never_heard_of")) == 1


def test_prediction_ids_depend_on_every_part() -> None:
    parts = ("p", "m", "s", 0)
    first = prediction_id(*parts)
    others = {
        prediction_id("q", "m", "s", 0),
        prediction_id("p", "n", "s", 0),
        prediction_id("p", "m", "t", 0),
    }
    assert first == prediction_id(*parts)
    assert len(others | {first, prediction_id("p", "m", "s", 1)}) == 5


def test_the_columns_of_the_prediction_table_are_named_once() -> None:
    assert len({column.name for column in COLUMNS}) == len(COLUMNS)


def test_the_asyncapi_document_names_every_message_and_resolves() -> None:
    made = asyncapi.document()
    assert {message["name"] for message in made["components"]["messages"].values()} == set(MESSAGES)
    text = json.dumps(made)
    for reference in {part.split('"')[0] for part in text.split('"$ref": "#')[1:]}:
        node: Any = made
        for name in reference.strip("/").split("/"):
            node = node[name]


def test_every_message_is_versioned_and_routed() -> None:
    for name, kind in MESSAGES.items():
        assert issubclass(kind, Message)
        assert name == f"studio9.{kind.routing_key}.v1"
    assert WorkerRun.model_fields["fence"].is_required()


def test_a_job_with_other_values_is_a_new_one_and_only_fields_can_be_set() -> None:
    job = a_job()
    newer = changed(job, {"phase": Phase.clean, "fence": 7})
    assert newer == replace(job, phase=Phase.clean, fence=7)
    assert (job.phase, job.fence) != (newer.phase, newer.fence)
    with pytest.raises(TypeError, match="colour"):
        changed(job, {"colour": "red"})
