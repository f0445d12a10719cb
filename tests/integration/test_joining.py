"""A machine joins a platform on real servers with the commands of the how-to, works, and is removed.

And what it is refused: by Orion, Argo, Aries and the storage; by the broker, too (tests/contract/bus/test_member.py).
"""

import asyncio
import io
import json
import stat
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog
from obstore.exceptions import BaseError

from studio9_cli.main import main
from studio9_common.bus import open_bus
from studio9_common.bus.rabbitmq import BusForbidden
from studio9_common.clients.argo import ArgoClient
from studio9_common.clients.aries import AriesClient
from studio9_common.contracts.envelope import encode
from studio9_common.contracts.joining import TokenRequest
from studio9_common.contracts.messages import JobRequested, WorkerCancel
from studio9_common.errors import Forbidden, Studio9Error, Unauthenticated
from studio9_common.ids import new_id
from studio9_common.tokens import Caller, TokenKeys
from studio9_worker.joining.identity import Identity, load
from studio9_worker.joining.membership import join, membership, settings_of
from studio9_worker.joining.orion import OrionForMembers
from studio9_worker.joining.tokens import MemberTokens
from studio9_worker.settings import WorkerSettings

from .deployed import DeployedPlatform

STORE_REFUSES = (BaseError, Studio9Error, PermissionError)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """What a command prints is not mixed with what it logs."""
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    yield
    structlog.reset_defaults()


class Commands:
    """`studio9 …` as it is typed: on the operators' side and on a new machine's."""

    def __init__(
        self,
        platform: DeployedPlatform,
        folder: Path,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        self.orion = platform.deployment.address("orion-1")
        self.state = folder / "machine"
        self._token = folder / "operator.token"
        self._token.write_text(platform.keys.sign(Caller("operator", "system"), "orion", lifetime_s=3600))
        self._capsys, self._monkeypatch = capsys, monkeypatch
        for name, value in platform.deployment.overrides["worker"].items():
            monkeypatch.setenv(name, value)

    async def __call__(self, *words: str, given: str = "", status: int = 0) -> str:
        """What the command printed; its complaints where it was to fail. `given` is its standard input."""
        self._monkeypatch.setattr(sys, "stdin", io.StringIO(given))
        self._capsys.readouterr()
        found = await asyncio.to_thread(main, words)
        out, error = self._capsys.readouterr()
        assert found == status, error
        return (error if status else out).strip()

    async def operator(self, *words: str, status: int = 0) -> str:
        return await self(*words, "--url", self.orion, "--token-file", str(self._token), status=status)

    async def machine(self, *words: str, given: str = "", status: int = 0) -> str:
        return await self("worker", *words, "--state", str(self.state), given=given, status=status)


@pytest.fixture
async def commands(
    deployed: DeployedPlatform,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Commands]:
    made = Commands(deployed, tmp_path, capsys, monkeypatch)
    yield made
    with suppress(AssertionError):
        await made.machine("down", "--now")


async def test_a_machine_joins_works_rests_and_leaves(deployed: DeployedPlatform, commands: Commands) -> None:
    asks, name = deployed.requester, f"gpu-{new_id()[-6:]}"
    assert "No worker" in await commands.machine("down", status=1)
    assert "studio9 workers token" in await commands.machine("up", status=1)
    token = await commands.operator("workers", "token", "--name", name, "--labels", name)
    await commands.machine("up", "--url", commands.orion, "--join", "-", "--slots", "1", given=token)
    file = commands.state / "identity.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "installation" in file.read_text() and token not in file.read_text()
    keys = deployed.deployment.secrets.token_keys
    assert keys not in file.read_text() and deployed.deployment.servers.s3 not in file.read_text()

    job = await asks.submit("nothing", labels=(name,))
    done = await asks.completed(job, 60)
    assert [attempt.worker for attempt in done.attempts] == [name]
    await asks.clean(job)
    assert json.loads(await commands.operator("workers", "show", name, "--json"))["state"] == "ready"
    assert "already" in await commands.machine("up", status=1)
    await commands.machine("scale", "2")
    assert [slot["id"] for slot in json.loads(await commands.machine("status"))["slots"]] == ["cpu-0", "cpu-1"]

    await commands.machine("down")
    assert load(commands.state) is not None, "the next start needs no token"
    await commands.machine("up")
    status = json.loads(await commands.machine("status"))
    assert (status["worker"], len(status["slots"]), status["draining"]) == (name, 2, False)

    assert f"{name} removed" in await commands.operator("workers", "remove", name)
    assert name not in await commands.operator("workers", "list")
    rows = {one["worker"]: one for one in json.loads(await commands.operator("workers", "tokens", "--json"))}
    assert [line["event"] for line in rows[name]["history"]] == ["invited", "joined", "removed"]
    await commands.machine("down", "--now")
    assert "no worker of the platform" in await commands.machine("up", status=1)
    identity = load(commands.state)
    assert identity is not None
    await refused_everywhere(identity)
    assert "was used" in await commands.machine("up", "--url", commands.orion, "--join", "-", given=token, status=1)


async def refused_everywhere(identity: Identity) -> None:
    """Nothing that the machine knew opens anything any more."""
    orion = OrionForMembers(identity, retry_s=0)
    with pytest.raises(Unauthenticated):
        await orion.token(TokenRequest(audience="argo"))
    with pytest.raises(Unauthenticated):
        await orion.storage_keys()
    await orion.close()
    bus = await open_bus(identity.bus_url, name="gone", topology="member")
    with pytest.raises(Studio9Error):
        await bus.ping()
    await bus.close()


async def test_a_token_admits_one_machine(deployed: DeployedPlatform, commands: Commands, tmp_path: Path) -> None:
    name = f"once-{new_id()[-6:]}"
    token = await commands.operator("workers", "token", "--name", name)
    assert "already" in await commands.operator("workers", "token", "--name", name, status=1)
    first = await join(tmp_path / "a", url=commands.orion, token=token)
    assert first.joined is not None and first.joined.worker == name
    # Its answer was lost: the same machine asks again, before and after it knows.
    lost = first.model_copy(update={"joined": None})
    orion = OrionForMembers(lost)
    assert await orion.join(token) == first.joined
    await orion.close()
    bus = await open_bus(first.bus_url, name=name, topology="member")
    await bus.ping()
    await bus.close()
    with pytest.raises(Unauthenticated):
        await join(tmp_path / "b", url=commands.orion, token=token)
    revoked = f"never-{new_id()[-6:]}"
    token = await commands.operator("workers", "token", "--name", revoked)
    assert f"{revoked} revoked" in await commands.operator("workers", "revoke", revoked)
    with pytest.raises(Unauthenticated):
        await join(tmp_path / "c", url=commands.orion, token=token)
    with pytest.raises(Unauthenticated):
        await join(tmp_path / "c", url=commands.orion, token=f"{token}x")
    # An Orion that dies between the write and the broker's answer leaves a machine that asks again; so does a removal.
    await commands.operator("workers", "remove", name)
    await refused_everywhere(first)


async def test_what_a_machine_that_joined_is_refused(
    deployed: DeployedPlatform, commands: Commands, tmp_path: Path
) -> None:
    asks, name = deployed.requester, f"bad-{new_id()[-6:]}"
    token = await commands.operator("workers", "token", "--name", name)
    identity = await join(tmp_path / "bad", url=commands.orion, token=token)
    settings = settings_of(identity, WorkerSettings(state_dir=tmp_path / "bad"))
    running = await asks.submit("until_stopped", labels=("worker-1",))
    await asks.until(running, lambda job: job.phase.value == "running", 60)

    bus = await open_bus(identity.bus_url, name=name, topology="member")
    for message in (JobRequested(job=new_id(), owner="x", spec=asks.request("nothing").spec),
                    WorkerCancel(worker="worker-1", job=running, fence=1)):  # fmt: skip
        with pytest.raises(BusForbidden):
            await bus.publish(encode(message, source="forged", organisation=asks.organisation))
    await bus.close()

    async with membership(identity, settings) as (tokens, objects):
        await tokens_are_narrow(deployed, tokens, running)
        await storage_is_narrow(deployed, objects)
    local = identity.local_token_keys()
    for service in ("orion-1", "aries", "argo"):
        shown = {"Authorization": f"Bearer {local.sign(Caller('orion', 'system'), service.partition('-')[0])}"}
        async with httpx.AsyncClient(base_url=deployed.deployment.address(service), headers=shown) as http:
            path = "/v1/jobs/_search" if service == "aries" else "/v1/jobs" if service == "orion-1" else "/v1/secrets"
            answer = await http.request("POST" if service == "aries" else "GET", path)
            assert answer.status_code == 401, (service, answer.text)
    await asks.cancel_until_heard(running)
    await asks.ended(running)
    await commands.operator("workers", "remove", name)


async def tokens_are_narrow(deployed: DeployedPlatform, tokens: MemberTokens, running: str) -> None:
    system = Caller("worker", "system")
    for audience in ("aries", "orion", "baile", "pegasus", "worker"):
        with pytest.raises(Forbidden):
            await tokens.token(system, audience)
    for caller in (Caller("worker", "system", job=running, fence=1), Caller("worker", "system", job=new_id(), fence=1)):
        with pytest.raises(Forbidden):
            await tokens.token(caller, "argo")
    argo = ArgoClient(deployed.deployment.address("argo"), service="worker", keys=tokens, retry_s=0)
    assert all(entry.service == "worker" for entry in [found async for found in argo.list(service="worker")])
    with pytest.raises(Forbidden):
        await argo.set("worker", "cache_gib", 1.0, scope="installation", version=None)
    with pytest.raises(Forbidden):
        await argo.register("worker", "cache_gib", {"type": "number"})
    with pytest.raises(Studio9Error):
        await argo.reveal(new_id(), organisation=deployed.requester.organisation)
    await argo.close()
    forged = TokenKeys.generate()
    aries = AriesClient(deployed.deployment.address("aries"), service="orion", keys=TokenKeys(forged), retry_s=0)
    with pytest.raises(Unauthenticated):
        await aries.get_jobs([running])
    await aries.close()


async def storage_is_narrow(deployed: DeployedPlatform, objects: Any) -> None:
    mine = deployed.requester.organisation
    picture, output = f"{mine}/pictures/{'a' * 64}", f"{mine}/jobs/{new_id()}/1/out.bin"
    await deployed.requester.objects.put(picture, b"picture")
    assert await objects.get(picture) == b"picture", "it stages inputs"
    await objects.put(output, b"output")
    assert await deployed.requester.objects.get(output) == b"output"
    await objects.ping()
    for attempt in (
        lambda: objects.put(f"{mine}/pictures/{'b' * 64}", b"forged"),
        lambda: objects.put(f"{mine}/models/m1/weights.pt", b"forged"),
        lambda: objects.delete(picture),
        lambda: objects.delete(output),
        lambda: _listed(objects, f"{mine}/"),
    ):
        with pytest.raises(STORE_REFUSES):
            await attempt()
    assert await deployed.requester.objects.get(picture) == b"picture"


async def _listed(objects: Any, prefix: str) -> list[str]:
    return [info.key async for info in objects.list(prefix)]
