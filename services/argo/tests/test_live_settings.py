"""Settings whose default comes from Argo while the service runs."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import ClassVar

import pytest
from pydantic import Field

from studio9_argo.app import Argo
from studio9_common.bus import Bus
from studio9_common.clients.argo import ArgoClient
from studio9_common.config import LiveConfig
from studio9_common.contracts.configuration import Entry
from studio9_common.errors import BadInput
from studio9_common.live import LIVE, LiveSettings, live_fields, live_schemas
from studio9_common.settings import ServiceSettings
from studio9_common.tokens import TokenKeys

from .conftest import Clients


class OvenSettings(ServiceSettings):
    """Two that may change, one that may not."""

    service: ClassVar[str] = "oven"

    heat: int = Field(180, ge=0, le=300, description="degrees", json_schema_extra=LIVE)
    light: bool = Field(True, description="whether it shines", json_schema_extra=LIVE)
    plug: str = Field("", description="where its power comes from")


class Oven:
    """A service's settings and configuration, and when the next change has arrived."""

    def __init__(self, config: LiveConfig) -> None:
        self.config = config
        self._arrived = asyncio.Event()
        config.on_change(self._note)

    async def _note(self, _: Entry) -> None:
        self._arrived.set()

    async def changed(self) -> None:
        await asyncio.wait_for(self._arrived.wait(), 20)
        self._arrived.clear()


@pytest.fixture
async def oven(argo: Argo, bus: Bus, keys: TokenKeys, tmp_path: Path) -> AsyncIterator[Oven]:
    client = ArgoClient(argo.asgi, service="oven", keys=keys, retry_s=0)
    config = LiveConfig(
        client, bus, service="oven", file=tmp_path / "oven" / "config.json", schemas=live_schemas(OvenSettings)
    )
    made = Oven(config)
    await config.start()
    yield made
    await config.stop()
    await client.close()


def test_what_may_change_is_marked() -> None:
    assert live_fields(OvenSettings) == ("heat", "light")
    assert live_schemas(OvenSettings) == {
        "heat": {"type": "integer", "minimum": 0, "maximum": 300},
        "light": {"type": "boolean"},
    }


async def test_a_change_is_the_new_default(oven: Oven, as_service: Clients) -> None:
    settings = LiveSettings(OvenSettings(), oven.config)
    assert settings.now().heat == 180
    operator = as_service("studio9")
    await operator.save("oven", "heat", 200, scope="installation")
    await oven.changed()
    await operator.save("oven", "heat", 90, scope="organisation", organisation="acme")
    await oven.changed()
    assert (settings.now().heat, settings.now("rival").heat, settings.now("acme").heat) == (200, 200, 90)
    await operator.remove("oven", "heat", scope="organisation", organisation="acme")
    await oven.changed()
    assert settings.now("acme").heat == 200


async def test_what_was_given_comes_first(oven: Oven, as_service: Clients) -> None:
    for settings in (OvenSettings(heat=150), OvenSettings.load(environment={"STUDIO9_OVEN_HEAT": "150"})):
        await as_service("studio9").save("oven", "heat", 200, scope="installation")
        await oven.config.refresh()
        assert LiveSettings(settings, oven.config).now().heat == 150


async def test_argo_takes_no_value_that_the_setting_would_refuse(oven: Oven, as_service: Clients) -> None:
    for key, value in (("heat", 301), ("heat", "hot"), ("light", 7), ("plug", "in the wall")):
        with pytest.raises(BadInput):
            await as_service("studio9").save("oven", key, value, scope="installation")
    assert oven.config.entries() == []


async def test_a_value_of_another_version_is_left_out(oven: Oven, as_service: Clients) -> None:
    """A newer version of the service took more, and wrote its type."""
    await as_service("oven").register("oven", "heat", {"type": "integer"})
    await as_service("studio9").save("oven", "heat", 900, scope="installation")
    await oven.changed()
    assert oven.config.get("heat") == 900
    assert LiveSettings(OvenSettings(), oven.config).now().heat == 180


def test_without_argo_settings_stay() -> None:
    given = OvenSettings(heat=70)
    assert LiveSettings(given).now("acme") is given
