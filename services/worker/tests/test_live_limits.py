"""Limits that an operator changes in Argo while the worker runs."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from cryptography.fernet import Fernet
from pydantic import SecretStr

from studio9_argo import app as argo
from studio9_argo.settings import ArgoSettings
from studio9_common.clients.argo import ArgoClient
from studio9_common.documents.embedded import SqliteDocuments
from studio9_common.tokens import TokenKeys


@pytest.fixture
async def operator(platform: Any) -> AsyncIterator[ArgoClient]:
    """Argo beside the platform, which its worker reads; how an operator writes to it."""
    keys = TokenKeys(TokenKeys.generate())
    documents = await SqliteDocuments.open(platform.folder / "argo.sqlite")
    settings = ArgoSettings(fernet_keys=SecretStr(Fernet.generate_key().decode()))
    service = argo.build(settings, documents=documents, bus=platform.bus, keys=keys)
    await service.start()
    platform.argo = ArgoClient(service.asgi, service="worker", keys=keys)
    made = ArgoClient(service.asgi, service="studio9", keys=keys)
    yield made
    await platform.stop_worker()
    await made.close()
    await platform.argo.close()
    await service.stop()
    await documents.close()


async def test_the_next_attempt_of_an_organisation_gets_its_limits(platform: Any, operator: ArgoClient) -> None:
    service = await platform.start_worker()
    before = await platform.result(await platform.run("train"))
    assert before.outcome == "succeeded"
    await operator.save("worker", "outputs_gib", 1e-9, scope="organisation", organisation="acme")
    settings_for = service.agent.context.settings_for
    await platform.until(lambda: settings_for("acme").outputs_gib < 1)
    assert settings_for("rival").outputs_gib == 50
    after = await platform.result(await platform.run("train"))
    assert (after.outcome, after.reason.code) == ("failed", "bad_output")
    assert "larger than 1e-09 GiB" in after.reason.message


async def test_the_cache_lets_go_at_once(platform: Any, operator: ArgoClient) -> None:
    await platform.start_worker()
    pictures = await platform.pictures("train", {"a.png": b"first", "b.png": b"second"})
    assert (await platform.result(await platform.run("train", inputs=(pictures,)))).outcome == "succeeded"
    cached = platform.folder / "worker" / "cache"

    def kept() -> list[str]:
        return [path.name for path in cached.rglob("*") if path.is_file()]

    assert kept()
    await operator.save("worker", "cache_gib", 0, scope="installation")
    await platform.until(lambda: not kept())


async def test_a_limit_that_was_given_stays(platform: Any, operator: ArgoClient) -> None:
    service = await platform.start_worker(task_log_mib=7.0)
    await operator.save("worker", "task_log_mib", 3, scope="installation")
    await operator.save("worker", "outputs_gib", 3, scope="installation")
    settings_for = service.agent.context.settings_for
    await platform.until(lambda: settings_for("acme").outputs_gib == 3)
    assert settings_for("acme").task_log_mib == 7.0
