"""Joining without a broker: what a token is worth, what a platform in one process says, what a worker's role may do."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from studio9_common.bus.rabbitmq.users import password_hash
from studio9_common.contracts.collections import WORKERS
from studio9_common.contracts.job import ChildRequest, Input, ObjectRef, Source, Spec, State
from studio9_common.contracts.joining import JoinRequest
from studio9_common.contracts.messages import SchedulerCall, WorkerBeat
from studio9_common.errors import Conflict, Studio9Error, Unavailable
from studio9_common.tokens import Caller
from studio9_orion.app import OrionService, build
from studio9_orion.joining.composition import broker_users, told
from studio9_orion.joining.domain import (
    JoinRefused,
    Member,
    MemberExists,
    NotMember,
    invitation,
    parse_token,
    redeemed,
    shows,
)
from studio9_orion.joining.members import Members
from studio9_orion.joining.storage import policy

NOW = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)
REF = ObjectRef(key="acme/pictures/a", sha256="0" * 64, size=1)
PLACE: Any = {"bucket": "abc", "region": "r", "credential": "c"}
PROOF, OTHER = "p" * 43, "q" * 43


def invited(before: Member | None = None, now: datetime = NOW) -> tuple[Member, str]:
    member, token = invitation("gpu-1", before, labels=("a100",), valid_s=3600, by="ana", now=now)
    worker, secret = parse_token(token)
    assert worker == "gpu-1"
    return member, secret


def test_a_token_admits_one_machine_once() -> None:
    member, secret = invited()
    joined = redeemed(member, secret, PROOF, NOW)
    assert joined.state == "joined"
    assert shows(joined, PROOF) and not shows(joined, OTHER) and not shows(member, PROOF)
    assert redeemed(joined, secret, PROOF, NOW + timedelta(days=9)) is joined, "its answer was lost: it asks again"
    with pytest.raises(JoinRefused):
        redeemed(joined, secret, OTHER, NOW)


@pytest.mark.parametrize("state", ["revoked", "removed"])
def test_what_was_taken_back_admits_nobody(state: Any) -> None:
    member, secret = invited()
    gone = member.moved(state, state, "ana", NOW)
    with pytest.raises(JoinRefused):
        redeemed(gone, secret, PROOF, NOW)
    assert not shows(redeemed(member, secret, PROOF, NOW).moved(state, state, "ana", NOW), PROOF)


def test_a_token_expires() -> None:
    member, secret = invited()
    with pytest.raises(JoinRefused):
        redeemed(member, secret, PROOF, NOW + timedelta(seconds=3600))
    assert member.shown(NOW + timedelta(hours=2))["state"] == "expired"


@pytest.mark.parametrize("token", ["", "x", "s9join.gpu-1", "s9join.gpu.1.x", "other.gpu-1.secret", "s9join..secret"])
def test_other_text_is_no_token(token: str) -> None:
    with pytest.raises(JoinRefused):
        parse_token(token)


def test_a_wrong_secret_is_refused() -> None:
    member, secret = invited()
    for wrong in (secret[:-1], secret + "A", "", PROOF):
        with pytest.raises(JoinRefused):
            redeemed(member, wrong, PROOF, NOW)
    with pytest.raises(JoinRefused):
        redeemed(None, secret, PROOF, NOW)


def test_a_name_is_given_once_until_it_is_free_again() -> None:
    member, secret = invited()
    joined = redeemed(member, secret, PROOF, NOW)
    for taken in (member, joined):
        with pytest.raises(MemberExists):
            invited(taken)
    again, fresh = invited(joined.moved("removed", "removed", "ben", NOW))
    assert [line["event"] for line in again.history] == ["invited", "joined", "removed", "invited"]
    with pytest.raises(JoinRefused):
        redeemed(again, secret, PROOF, NOW)
    assert redeemed(again, fresh, OTHER, NOW).state == "joined"
    assert invited(member, NOW + timedelta(hours=2))[0].state == "invited", "the old invitation has expired"


def test_of_the_secrets_the_document_holds_hashes_only() -> None:
    member, secret = invited()
    joined = redeemed(member, secret, PROOF, NOW)
    text = str(joined.document())
    assert secret not in text and PROOF not in text
    assert Member.of("gpu-1", joined.document()) == joined
    assert {"token_hash", "proof_hash"}.isdisjoint(joined.shown(NOW))


def test_a_workers_keys_of_the_storage_reach_below_the_prefix_alone() -> None:
    found = policy("bucket", "lab")
    assert all(one["Resource"][0].startswith("arn:aws:s3:::bucket") for one in found["Statement"])
    writing = [one["Resource"] for one in found["Statement"] if "s3:PutObject" in one["Action"]]
    assert writing == [["arn:aws:s3:::bucket/lab/*/jobs/*"]]


def test_what_a_machine_is_told_holds_no_secret(world: Any) -> None:
    secret = {"bus_url": "amqp://orion:hidden@rabbit:5672/studio9", "objects_url": "s3://b"}
    settings = world.settings.model_copy(update=secret)
    assert broker_users(settings) is None
    assert told(settings).broker == "amqp://rabbit:5672/studio9"
    outside = settings.model_copy(update={"workers_bus_url": "amqps://broker.example:5671"})
    assert told(outside).broker == "amqps://broker.example:5671/studio9"
    assert "hidden" not in told(outside).model_dump_json()


async def test_a_platform_in_one_process_says_why_nobody_can_join(world: Any) -> None:
    orion: OrionService = build(
        world.settings, bus=world.bus, store=world.store, objects=world.objects, keys=world.keys, clock=world.clock
    )
    headers = {"Authorization": f"Bearer {world.keys.sign(Caller('operator', 'system'), 'orion')}"}
    acme = {"Authorization": f"Bearer {world.keys.sign(Caller('operator', 'acme'), 'orion')}"}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(orion.asgi), base_url="http://orion") as http:
        refused = await http.post("/v1/joins", json={}, headers=headers)
        assert (refused.status_code, refused.json()["title"]) == (409, "no broker")
        assert (await http.get("/v1/joins", headers=headers)).json() == {"items": []}
        for method, path in (("POST", "/v1/joins"), ("GET", "/v1/joins"), ("DELETE", "/v1/workers/w1")):
            body = {"json": {}} if method == "POST" else {}
            assert (await http.request(method, path, headers=acme, **body)).status_code == 403, path
            assert (await http.request(method, path, **body)).status_code == 401, path
        for path in ("/v1/members/token", "/v1/members/storage-keys"):
            for shown in ({}, {"Authorization": "Bearer w1.proof"}, headers):
                answer = await http.post(path, json={"audience": "argo"}, headers=shown)
                assert (answer.status_code, answer.json()["title"]) == (401, "not member")
        assert (await http.delete("/v1/workers/w1", headers=headers)).status_code == 404


def test_each_refusal_says_what_to_do() -> None:
    assert issubclass(JoinRefused, Studio9Error)
    assert "studio9 workers token" in JoinRefused().message


class Broker:
    """Notes whose users it was asked to make and remove; `away` until it is not."""

    def __init__(self) -> None:
        self.away = False
        self.calls: list[tuple[str, str]] = []

    async def make(self, worker: str, password_hash: str) -> None:
        if self.away:
            raise Unavailable
        self.calls.append(("make", worker))

    async def remove(self, worker: str) -> None:
        if self.away:
            raise Unavailable
        self.calls.append(("remove", worker))


def asking(token: str, proof: str = PROOF) -> JoinRequest:
    return JoinRequest(token=token, proof=proof, broker_hash=password_hash("secret", b"salt"))


async def test_a_broker_that_is_away_spends_no_token(world: Any) -> None:
    broker: Any = Broker()
    members = Members(world.store, world.clock, broker)
    _, token = await members.invite("gpu-1", labels=(), valid_s=3600, by="ana")
    broker.away = True
    with pytest.raises(Unavailable):
        await members.redeem(asking(token))
    broker.away = False
    with pytest.raises(JoinRefused):
        await members.redeem(asking(token, OTHER))
    assert (await members.redeem(asking(token))).state == "joined"
    assert broker.calls == [("make", "gpu-1")]
    assert (await members.check("gpu-1", PROOF)).worker == "gpu-1"

    broker.away = True
    with pytest.raises(Unavailable):
        await members.remove("gpu-1", "ben")
    with pytest.raises(NotMember):
        await members.check("gpu-1", PROOF)
    with pytest.raises(JoinRefused):
        await members.redeem(asking(token))
    broker.away = False
    await members.remove("gpu-1", "ben")
    assert broker.calls[-1] == ("remove", "gpu-1")


async def test_of_two_machines_with_one_token_one_is_admitted(world: Any) -> None:
    members = Members(world.store, world.clock, Broker())  # type: ignore[arg-type]
    _, token = await members.invite("gpu-2", labels=(), valid_s=3600, by="ana")
    both = (members.redeem(asking(token, proof)) for proof in (PROOF, OTHER))
    outcomes = await asyncio.gather(*both, return_exceptions=True)
    assert sum(isinstance(one, Member) for one in outcomes) == 1
    assert sum(isinstance(one, (JoinRefused, Conflict)) for one in outcomes) == 1


async def test_a_last_beat_brings_no_removed_worker_back(world: Any) -> None:
    orion: OrionService = build(
        world.settings, bus=world.bus, store=world.store, objects=world.objects, keys=world.keys, clock=world.clock
    )
    members = Members(world.store, world.clock, Broker())  # type: ignore[arg-type]
    _, token = await members.invite("gpu-3", labels=(), valid_s=3600, by="ana")
    await members.redeem(asking(token))
    await members.remove("gpu-3", "ana")
    beats = [WorkerBeat(worker=name, instance="i", sequence=1, slots=()) for name in ("gpu-3", "gpu-4")]
    await orion.supervisor.take_beats(beats)
    headers = {"Authorization": f"Bearer {world.keys.sign(Caller('operator', 'system'), 'orion')}"}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(orion.asgi), base_url="http://orion") as http:
        listed = (await http.get("/v1/workers", headers=headers)).json()["items"]
    assert [one["id"] for one in listed] == ["gpu-4"]
    await orion.orphans.sweep()
    assert [one is None for one in await world.store.get_many(WORKERS.name, ["gpu-3", "gpu-4"])] == [True, False]


async def test_whoever_schedules_is_told_of_a_machine_that_is_removed(world: Any) -> None:
    calls = await world.listen("calls", SchedulerCall.routing_key)
    members = Members(world.store, world.clock, Broker())  # type: ignore[arg-type]
    _, token = await members.invite("gpu-5", labels=(), valid_s=3600, by="ana")
    await members.redeem(asking(token))
    orion = world.orion(name="one")
    headers = {"Authorization": f"Bearer {world.keys.sign(Caller('operator', 'system'), 'orion')}"}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(orion.asgi), base_url="http://orion") as http:
        for _ in range(2):
            assert (await http.delete("/v1/workers/gpu-5", headers=headers)).status_code == 200
    assert await world.take(calls) == [SchedulerCall(orion="one", removed="gpu-5")], "once: again is harmless"


async def test_the_token_of_an_attempt_opens_the_secrets_that_its_job_names(world: Any, life: Any) -> None:
    source = Source(bucket="harbour", region="us-east-1", credential="mine", prefix="")
    inputs = (Input(name="extra", kind="folder", source=source), Input(name="more", kind="folder", source=source))
    given = life.request(spec=Spec(kind="train", image_secret="registry", inputs=inputs)).assign("gpu-6").beat()
    await world.store.create_job(given.job)
    orion = world.orion()
    members = Members(world.store, world.clock, Broker())  # type: ignore[arg-type]
    headers = {}
    for worker in ("gpu-6", "gpu-7"):
        _, token = await members.invite(worker, labels=(), valid_s=3600, by="ana")
        await members.redeem(asking(token))
        headers[worker] = {"Authorization": f"Bearer {worker}.{PROOF}"}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(orion.asgi), base_url="http://orion") as http:
        for worker, fence, status in (("gpu-6", 1, 200), ("gpu-6", 2, 403), ("gpu-7", 1, 403)):
            body = {"audience": "argo", "job": given.id, "fence": fence}
            answer = await http.post("/v1/members/token", json=body, headers=headers[worker])
            assert answer.status_code == status, answer.text
            if status == 200:
                caller = world.keys.check(answer.json()["token"], "argo")
    assert (caller.organisation, caller.job, caller.fence) == ("acme", given.id, 1)
    assert caller.scopes == ("config:read", "secret:registry", "secret:mine")


@pytest.mark.parametrize(
    ("one", "field"),
    [
        (Input(name="x", kind="file"), "inputs.0: "),
        (Input(name="x", kind="folder", ref=REF), "inputs.0: "),
        (
            Input(name="model", kind="folder", source=Source(bucket="abc", region="r", credential="c", prefix="")),
            "name",
        ),
        (Input(name="x", kind="file", source=Source(**PLACE, prefix="a/")), "inputs.0.kind"),
    ],
)
def test_an_input_that_cannot_be_ends_its_job_at_once(life: Any, one: Input, field: str) -> None:
    job = life.request(spec=Spec(kind="train", inputs=(one,))).job
    assert (job.state, job.reason.code) == (State.failed, "bad_input") and field in job.reason.message


def test_a_child_reads_no_bucket_that_its_parent_does_not(life: Any) -> None:
    source = Source(bucket="harbour", region="us-east-1", credential="mine", key="a.bin")
    own = Input(name="extra", kind="file", source=source)
    other = Input(name="extra", kind="file", source=replace(source, credential="somebodys"))
    for given, state in ((own, State.queued), (other, State.failed)):
        parent = type(life)().request(spec=Spec(kind="tune", inputs=(own,))).assign().beat()
        parent.result(children=(ChildRequest(name="t0", spec=Spec(kind="train", inputs=(given,))),))
        assert parent.job.state is state, parent.job.reason
