"""Service tokens, settings and the HTTP base, through the real app and client."""

from pathlib import Path
from typing import ClassVar

import pytest
from pydantic import Field

from studio9_common.errors import BadInput, NotFound, Unauthenticated, Unavailable
from studio9_common.http.app import ServiceCaller, create_app
from studio9_common.http.client import ServiceClient
from studio9_common.settings import BadSettings, ServiceSettings
from studio9_common.tokens import Caller, TokenKeys


def test_a_token_is_for_one_audience_and_dies() -> None:
    keys = TokenKeys(TokenKeys.generate())
    token = keys.sign(Caller("orion", "acme", ("jobs",), "j1", 3), "aries")
    assert keys.check(token, "aries") == Caller("orion", "acme", ("jobs",), "j1", 3)
    with pytest.raises(Unauthenticated):
        keys.check(token, "argo")
    with pytest.raises(Unauthenticated):
        keys.check(keys.sign(Caller("orion", "acme"), "aries", lifetime_s=-60), "aries")
    with pytest.raises(Unauthenticated):
        TokenKeys(TokenKeys.generate()).check(token, "aries")


def test_keys_rotate() -> None:
    old = TokenKeys.generate("old")
    token = TokenKeys(old).sign(Caller("baile", "acme"), "aries")
    assert TokenKeys(f"{TokenKeys.generate('new')},{old}").check(token, "aries").service == "baile"


@pytest.mark.parametrize("text", ["", "k1:short", "k1:%%%"])
def test_weak_keys_are_refused(text: str) -> None:
    with pytest.raises(BadInput):
        TokenKeys(text)


class ProbeSettings(ServiceSettings):
    service: ClassVar[str] = "probe"
    limit: int = Field(3, ge=1)
    waits: tuple[float, ...] = (2.0,)


@pytest.mark.parametrize("text", ["[0.5, 1]", "0.5, 1"])
def test_a_list_in_the_environment_is_json_or_has_commas(text: str) -> None:
    assert ProbeSettings.load(environment={"STUDIO9_PROBE_WAITS": text}).waits == (0.5, 1.0)
    with pytest.raises(BadSettings):
        ProbeSettings.load(environment={"STUDIO9_PROBE_WAITS": "[0.5, soon"})


def test_settings_take_the_nearest_source(tmp_path: Path) -> None:
    file = tmp_path / "studio9.toml"
    file.write_text('[probe]\nlimit = 4\nlog_level = "debug"\n')
    environment = {"STUDIO9_LIMIT": "5", "STUDIO9_PROBE_LIMIT": "6"}
    assert ProbeSettings.load(environment={}).limit == 3
    assert ProbeSettings.load(environment={}, file=file).limit == 4
    assert ProbeSettings.load(environment=environment, file=file).limit == 6
    assert ProbeSettings.load(environment=environment, file=file, arguments={"limit": 7}).limit == 7
    with pytest.raises(BadSettings) as caught:
        ProbeSettings.load(environment={"STUDIO9_LIMIT": "none"})
    assert caught.value.field == "limit"


def test_the_command_line_comes_first_and_settings_made_by_hand_read_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STUDIO9_PROBE_LIMIT", "6")
    monkeypatch.setenv("LIMIT", "9")
    assert ProbeSettings().limit == 3
    file = tmp_path / "studio9.toml"
    file.write_text('[probe]\nlimit = 4\nlog_level = "debug"\n')
    given = ProbeSettings.of_process(["--config", str(file), "--set", "limit=7", "a-word-of-the-caller"])
    assert (given.limit, given.log_level) == (7, "debug")
    assert ProbeSettings.of_process([]).limit == 6
    for wrong in (["--set", "limit"], ["--set", "nothing=1"], ["--config", str(tmp_path / "none.toml")]):
        with pytest.raises(BadSettings):
            ProbeSettings.of_process(wrong)
    with pytest.raises(BadSettings) as caught:
        ProbeSettings.of_process(["--set", "log_level=loud"])
    assert caught.value.field == "log_level"


async def test_client_and_app_speak_with_tokens_and_typed_errors() -> None:
    keys = TokenKeys(TokenKeys.generate())
    healthy = True

    async def store() -> None:
        if not healthy:
            raise Unavailable("the store is away")

    app = create_app("probe", keys=keys, checks={"store": store})

    @app.get("/v1/who")
    async def who(caller: ServiceCaller) -> dict[str, str]:
        return {"service": caller.service, "organisation": caller.organisation}

    @app.get("/v1/missing")
    async def missing() -> None:
        raise NotFound("there is no such job", field="job", value="j9", fix="list the jobs")

    @app.get("/v1/broken")
    async def broken() -> None:
        raise RuntimeError("secret detail")

    client = ServiceClient(app, audience="probe", service="orion", keys=keys)
    answer = await client.request("GET", "/v1/who", organisation="acme")
    assert answer.json() == {"service": "orion", "organisation": "acme"}
    with pytest.raises(NotFound) as caught:
        await client.request("GET", "/v1/missing")
    assert (caught.value.field, caught.value.fix) == ("job", "list the jobs")
    with pytest.raises(Unavailable) as hidden:
        await client.request("GET", "/v1/broken", retry_s=0)
    assert "secret detail" not in hidden.value.message
    assert (await client.request("GET", "/ready")).json()["status"] == "ready"
    healthy = False
    with pytest.raises(Unavailable):
        await client.request("GET", "/ready", retry_s=0)
    stranger = ServiceClient(app, audience="probe", service="orion", keys=TokenKeys(TokenKeys.generate()))
    with pytest.raises(Unauthenticated):
        await stranger.request("GET", "/v1/who")
    await stranger.close()
    await client.close()
