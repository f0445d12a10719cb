"""Weights, limits and classes from a real Argo: they act at once and without a restart, and bad ones are refused."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from pydantic import SecretStr

from studio9_argo import app as argo_app
from studio9_argo.settings import ArgoSettings
from studio9_common.clients.argo import ArgoClient
from studio9_common.contracts.configuration import Entry
from studio9_common.contracts.job import Phase, Spec
from studio9_common.contracts.messages import JobRequested, Slot, WorkerBeat
from studio9_common.documents.connect import open_documents
from studio9_common.errors import BadInput
from studio9_common.ids import new_id
from studio9_common.times import SystemClock
from studio9_orion.app import build
from studio9_orion.scheduler.rules import SCHEMAS, LiveRules, Rules

BAD: dict[str, list[Any]] = {
    "weight": [0, "x", float("nan"), None],
    "organisation_limit": [0, 2.5, "many"],
    "project_limit": [True, -1],
    "classes": [[], [""], "cpu"],
}


class Known:
    """Entries without an Argo, as a file of last known values may hold them."""

    def __init__(self) -> None:
        self.known: list[Entry] = []
        self.listener: Callable[[Entry], Awaitable[None]] | None = None

    def entries(self, prefix: str = "", *, service: str | None = None) -> list[Entry]:
        return self.known

    def on_change(self, listener: Callable[[Entry], Awaitable[None]]) -> None:
        self.listener = listener

    async def tell(self, key: str, value: Any, organisation: str = "system", **given: Any) -> None:
        scope = "installation" if organisation == "system" else "project" if "project" in given else "organisation"
        entry = Entry(scope=scope, organisation=organisation, service="orion", key=key, version=1, value=value,
                      updated_at="", updated_by="", **given)  # fmt: skip
        assert self.listener is not None
        await self.listener(entry)


async def test_values_by_scope_and_the_last_good_one() -> None:
    known, changes = Known(), list[int]()
    rules = LiveRules(known, Rules(limit=7), lambda: changes.append(1))
    rules.load()
    assert rules.current == Rules(limit=7)
    await known.tell("weight", 2)
    await known.tell("weight", 3.5, "acme")
    await known.tell("organisation_limit", 99)
    await known.tell("organisation_limit", 4, "acme")
    await known.tell("organisation_limit", None, "globex")
    await known.tell("project_limit", 9)
    await known.tell("project_limit", 2, "acme")
    await known.tell("project_limit", 1, "acme", project="p")
    await known.tell("classes", ["urgent", "cpu"])
    good = Rules(
        classes=("urgent", "cpu"), weight=2.0, weights={"acme": 3.5}, limit=7, limits={"acme": 4, "globex": None},
        project_limit=9, project_limits={("acme", ""): 2, ("acme", "p"): 1},
    )  # fmt: skip
    assert rules.current == good
    for key, several in BAD.items():
        for bad in several:
            await known.tell(key, bad)
            await known.tell(key, bad, "acme")
    await known.tell("unknown", 1)
    assert rules.current == good
    await known.tell("organisation_limit", None, "acme", deleted=True)
    assert rules.current.limits == {"globex": None}
    assert len(changes) > 10
    open_ = LiveRules(known, Rules(), lambda: None)
    await known.tell("organisation_limit", 99)
    assert (rules.current.limit, open_.current.limit) == (7, 99), "the service's own setting comes before Argo's"


async def until(check: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(20):
        while not await check():  # noqa: ASYNC110 - the store has no event for that
            await asyncio.sleep(0.02)


@pytest.fixture
async def argo(world: Any, tmp_path: Path) -> AsyncIterator[ArgoClient]:
    documents = await open_documents(f"sqlite:///{tmp_path}/argo.sqlite")
    settings = ArgoSettings(state_dir=tmp_path, fernet_keys=SecretStr(Fernet.generate_key().decode()))
    service = argo_app.build(settings, documents=documents, bus=world.bus, keys=world.keys)
    await service.start()
    client = ArgoClient(service.asgi, service="orion", keys=world.keys)
    yield client
    await client.close()
    await service.stop()
    await documents.close()


async def test_a_changed_limit_acts_without_a_restart(world: Any, argo: ArgoClient, tmp_path: Path) -> None:
    settings = world.settings.model_copy(update={"state_dir": tmp_path, "tick_s": 60.0})
    orion = build(
        settings,
        bus=world.bus,
        store=world.store,
        objects=world.objects,
        keys=world.keys,
        clock=SystemClock(),
        argo=argo,
    )
    await argo.register("orion", "organisation_limit", SCHEMAS["organisation_limit"])
    await argo.save("orion", "organisation_limit", 1, scope="organisation", organisation="acme")
    await world.listen("worker.w1.v1", "worker.*.w1")
    await orion.start()
    jobs = [new_id() for _ in range(4)]
    slots = tuple(Slot(id=f"s{n}") for n in range(4))
    try:
        await world.send(WorkerBeat(worker="w1", instance="i", sequence=1, slots=slots), "system")
        for job in jobs:
            await world.send(JobRequested(job=job, owner="ana", spec=Spec(kind="train")))

        def assigned(count: int) -> Callable[[], Awaitable[bool]]:
            async def check() -> bool:
                found = await world.store.get_jobs(jobs)
                phases = [one[0].phase for one in found if one is not None]
                return len(phases) == 4 and phases.count(Phase.assigned) == count

            return check

        await until(assigned(1))
        await argo.save("orion", "organisation_limit", 3, scope="organisation", organisation="acme")
        await until(assigned(3))
        with pytest.raises(BadInput):
            await argo.save("orion", "organisation_limit", 0, scope="organisation", organisation="acme")
        await argo.register("orion", "organisation_limit", {})
        await argo.save("orion", "organisation_limit", "many", scope="organisation", organisation="acme")
        await argo.save("orion", "weight", 2.0, scope="installation")

        async def heard() -> bool:
            return bool(orion.rules.weight == 2.0)

        await until(heard)
        assert orion.rules.limits == {"acme": 3}, "what cannot be used leaves the last good value"
    finally:
        await orion.stop()
