"""A service's live configuration: follows changes, starts on the last known values, finds what no message told."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from studio9_argo.app import Argo
from studio9_common.bus import Bus
from studio9_common.clients.argo import ArgoClient
from studio9_common.config import LiveConfig
from studio9_common.contracts.configuration import Entry
from studio9_common.tokens import TokenKeys

from .conftest import LIMIT, Clients

Make = Callable[..., LiveConfig]


@pytest.fixture
async def make(argo: Argo, bus: Bus, keys: TokenKeys, tmp_path: Path) -> AsyncIterator[Make]:
    made: list[LiveConfig] = []
    clients: list[ArgoClient] = []

    def make(target: object = argo.asgi, **options: object) -> LiveConfig:
        clients.append(ArgoClient(target, service="orion", keys=keys, retry_s=0))  # type: ignore[arg-type]
        file = tmp_path / "orion" / "config.json"
        made.append(
            LiveConfig(clients[-1], bus, service="orion", file=file, schemas={"queue": LIMIT}, **options)  # type: ignore[arg-type]
        )
        return made[-1]

    yield make
    for config in made:
        await config.stop()
    for client in clients:
        await client.close()


async def test_a_change_arrives_without_asking(make: Make, as_service: Clients) -> None:
    config = make()
    changes: asyncio.Queue[Entry] = asyncio.Queue()

    async def listen(entry: Entry) -> None:
        changes.put_nowait(entry)

    config.on_change(listen)
    await config.start()
    assert config.current and config.get("queue", {"limit": 9}) == {"limit": 9}
    baile = as_service("baile")
    await baile.save("orion", "queue", {"limit": 1}, scope="installation")
    assert (await asyncio.wait_for(changes.get(), 20)).value == {"limit": 1}
    await baile.save("orion", "queue", {"limit": 2}, scope="organisation", organisation="acme")
    await asyncio.wait_for(changes.get(), 20)
    assert config.get("queue") == config.get("queue", organisation="rival") == {"limit": 1}
    assert config.get("queue", organisation="acme", project="p") == {"limit": 2}
    assert len(config.entries("qu")) == 2
    await baile.remove("orion", "queue", scope="organisation", organisation="acme")
    assert (await asyncio.wait_for(changes.get(), 20)).deleted
    assert config.get("queue", organisation="acme") == {"limit": 1}


async def test_it_starts_on_the_last_known_values(make: Make, as_service: Clients) -> None:
    first = make()
    await first.start()
    await as_service("baile").save("orion", "queue", {"limit": 7}, scope="installation")
    await first.refresh()
    second = make("http://127.0.0.1:1")
    await second.start()
    assert not second.current and second.get("queue") == {"limit": 7}


async def test_a_lost_message_is_made_up_for(make: Make, argo: Argo, as_service: Clients) -> None:
    await argo.outbox.stop()
    config = make(reread_s=0.05)
    changed = asyncio.Event()

    async def listen(entry: Entry) -> None:
        changed.set()
        raise RuntimeError("a listener that fails disturbs nobody")

    config.on_change(listen)
    await config.start()
    await as_service("baile").save("orion", "queue", {"limit": 7}, scope="installation")
    await asyncio.wait_for(changed.wait(), 20)
    assert config.get("queue") == {"limit": 7}


async def test_a_damaged_file_is_no_obstacle(make: Make, tmp_path: Path) -> None:
    (tmp_path / "orion").mkdir()
    (tmp_path / "orion" / "config.json").write_text('[{"scope": "nonsense"}, ')
    config = make()
    await config.start()
    assert config.current and config.entries() == []
