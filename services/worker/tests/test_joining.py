"""Who a machine is: its identity on disk, what it becomes with it, and what Orion signs and lends it for a while."""

import stat
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from studio9_common.contracts.joining import Joined, Storage, StorageKeys, TokenAnswer, TokenRequest
from studio9_common.errors import Unauthenticated
from studio9_common.objects.port import ObjectsUnavailable
from studio9_common.tokens import Caller
from studio9_worker.joining.identity import FILE, BadIdentity, Identity, load, save
from studio9_worker.joining.keys import LentKeys
from studio9_worker.joining.membership import NotJoined, join, settings_of
from studio9_worker.joining.tokens import MemberTokens
from studio9_worker.settings import WorkerSettings

JOINED = Joined(
    worker="gpu-1",
    installation="lab",
    broker="amqps://broker.example:5671/studio9",
    broker_user="lab-worker-gpu-1",
    argo_url="http://argo.example",
    storage=Storage(url="s3://bucket/lab", endpoint="http://s3.example", lends_keys=True),
    labels=("a100",),
    task_image="trainers:0.1.0",
)


class Orion:
    """What Orion answers, and how often it was asked."""

    def __init__(self, valid_s: float = 120) -> None:
        self.asked: list[Any] = []
        self.valid_s, self.refuses = valid_s, False

    async def token(self, request: TokenRequest) -> TokenAnswer:
        self.asked.append(request)
        if self.refuses:
            raise Unauthenticated
        return TokenAnswer(token=f"token-{len(self.asked)}", valid_s=self.valid_s)

    async def storage_keys(self) -> StorageKeys:
        self.asked.append("keys")
        if self.refuses:
            raise Unauthenticated
        return StorageKeys(access_key=f"a{len(self.asked)}", secret_key="s", session_token="t", valid_s=self.valid_s)


def test_the_identity_is_its_owners_alone(tmp_path: Path) -> None:
    assert load(tmp_path) is None
    identity = Identity.new("http://orion").model_copy(update={"joined": JOINED})
    (tmp_path / FILE).write_text("{}")
    (tmp_path / FILE).chmod(0o644)
    with pytest.raises(BadIdentity):
        load(tmp_path)
    save(tmp_path, identity)
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600
    assert load(tmp_path) == identity
    other = Identity.new("http://orion")
    assert not {other.proof, other.broker_password} & {identity.proof, identity.broker_password}


def test_a_member_is_told_where_things_are() -> None:
    identity = Identity.new("http://orion").model_copy(update={"joined": JOINED})
    given = WorkerSettings(labels="b,a100", cpu_slots=3, token_keys=SecretStr("k1:x"))
    settings = settings_of(identity, given)
    assert settings.bus_url == f"amqps://lab-worker-gpu-1:{identity.broker_password}@broker.example:5671/studio9"
    assert (settings.worker_id, settings.installation, settings.cpu_slots) == ("gpu-1", "lab", 3)
    assert (settings.label_set, settings.task_image) == (("a100", "b"), "trainers:0.1.0")
    assert (settings.objects_url, settings.objects_endpoint) == ("s3://bucket/lab", "http://s3.example")
    local = identity.local_token_keys()
    assert local.check(local.sign(Caller("operator", "system"), "worker"), "worker").service == "operator"
    assert "k1:x" not in settings.token_keys.get_secret_value()


async def test_without_a_token_a_machine_does_not_join(tmp_path: Path) -> None:
    with pytest.raises(NotJoined):
        await join(tmp_path, url="http://orion", token="")
    with pytest.raises(NotJoined):
        await join(tmp_path, url="", token="s9join.x.y")
    assert load(tmp_path) is None
    identity = Identity.new("http://127.0.0.1:9").model_copy(update={"joined": JOINED})
    save(tmp_path, identity)
    assert await join(tmp_path, url="", token="") == identity
    assert await join(tmp_path, url="", token="", check=True) == identity, "while Orion is away what was known holds"


async def test_a_token_is_used_for_half_its_life() -> None:
    orion, now = Orion(), [0.0]
    tokens = MemberTokens(orion, clock=lambda: now[0])  # type: ignore[arg-type]
    system = Caller("worker", "system")
    attempt = Caller("worker", "acme", ("secret:x",), "job", 2)
    assert await tokens.token(system, "argo") == await tokens.token(system, "argo") == "token-1"
    assert await tokens.token(attempt, "argo") == "token-2"
    assert [one.job for one in orion.asked] == [None, "job"]
    now[0] = 61.0
    assert await tokens.token(system, "argo") == "token-3"
    orion.refuses, now[0] = True, 200.0
    with pytest.raises(Unauthenticated):
        await tokens.token(system, "argo")


async def test_lent_keys_end_with_their_time() -> None:
    orion, now = Orion(valid_s=3600), [0.0]
    keys = LentKeys(orion, clock=lambda: now[0])  # type: ignore[arg-type]
    with pytest.raises(ObjectsUnavailable):
        keys.current()
    assert await keys.renew() == pytest.approx(1200)
    assert keys.current().access_key == "a1"
    now[0] = 1200.0
    await keys.renew()
    assert keys.current().access_key == "a2"
    orion.refuses = True
    with pytest.raises(Unauthenticated):
        await keys.renew()
    assert keys.current().access_key == "a2", "what was lent is good until its end"
    now[0] = 4800.0
    with pytest.raises(ObjectsUnavailable):
        keys.current()
