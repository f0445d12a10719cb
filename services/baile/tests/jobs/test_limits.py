"""Limits of job kinds, from a real Argo: followed live, the organisation's before the installation's, and recorded."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from pydantic import SecretStr

from studio9_argo import app as argo_app
from studio9_argo.settings import ArgoSettings
from studio9_baile.jobs.limits import WATCHED, Limits
from studio9_common.bus import open_bus
from studio9_common.clients.argo import ArgoClient
from studio9_common.config import LiveConfig
from studio9_common.contracts.job import Spec
from studio9_common.documents.connect import open_documents
from studio9_common.tokens import TokenKeys


@pytest.fixture
async def parts(tmp_path: Path) -> AsyncIterator[tuple[ArgoClient, LiveConfig]]:
    keys = TokenKeys(TokenKeys.generate())
    bus = await open_bus(f"sqlite:///{tmp_path}/bus.sqlite", name="test")
    documents = await open_documents(f"sqlite:///{tmp_path}/argo.sqlite")
    settings = ArgoSettings(state_dir=tmp_path, fernet_keys=SecretStr(Fernet.generate_key().decode()))
    argo = argo_app.build(settings, documents=documents, bus=bus, keys=keys)
    await argo.start()
    client = ArgoClient(argo.asgi, service="baile", keys=keys)
    config = LiveConfig(client, bus, service="baile", file=tmp_path / "configuration.json", watched=WATCHED)
    await config.start()
    yield client, config
    await config.stop()
    await argo.stop()
    await client.close()
    await bus.close()
    await documents.close()


async def test_a_change_reaches_the_next_job_of_its_kind(parts: tuple[ArgoClient, LiveConfig], until: Any) -> None:
    argo, config = parts
    limits, train = Limits(config), Spec(kind="train")
    assert limits.apply("acme", train).spec == train
    await argo.save("job.train", "limits", {"max_run_s": 3600.0, "priority": 2}, scope="installation")
    own = {"queue_timeout_s": 60.0}
    await argo.save("job.train", "limits", own, scope="organisation", organisation="acme")

    async def heard() -> bool:
        of_acme, of_globex = limits.apply("acme", train), limits.apply("globex", train)
        return of_acme.spec.queue_timeout_s is not None and of_globex.priority > 0

    await until(heard, 20)
    other, mine = limits.apply("globex", train), limits.apply("acme", train)
    assert (other.spec.max_run_s, other.spec.queue_timeout_s, other.priority) == (3600.0, None, 2)
    assert (mine.spec.max_run_s, mine.spec.queue_timeout_s, mine.priority) == (train.max_run_s, 60.0, 0)
    assert limits.apply("acme", Spec(kind="predict")).priority == 0
