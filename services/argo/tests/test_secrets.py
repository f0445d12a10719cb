"""Secrets: encrypted at rest, never listed, revealed to their audiences only, rotated."""

import httpx
import pytest
from cryptography.fernet import Fernet
from pydantic import SecretStr

from studio9_argo import secrets
from studio9_argo.app import Argo, build
from studio9_argo.box import Box, LostKey, NoKey
from studio9_argo.collections import SECRETS
from studio9_argo.settings import ArgoSettings
from studio9_common.bus import Bus
from studio9_common.clients.argo import ArgoClient
from studio9_common.documents.embedded import SqliteDocuments
from studio9_common.errors import BadInput, Forbidden, NotFound, PreconditionFailed
from studio9_common.tokens import Caller, TokenKeys

from .conftest import Clients

VALUE = {"access_key": "AK", "secret_key": "very-secret-text"}


async def test_only_its_audiences_read_a_secret(as_service: Clients) -> None:
    baile = as_service("baile")
    info = await baile.add_secret("bucket", VALUE, audiences=["taurus", "worker"], organisation="acme")
    for service in ("taurus", "worker"):
        assert await as_service(service).reveal(info.id, organisation="acme") == VALUE
    for service, organisation, error in (
        ("baile", "acme", Forbidden),
        ("pegasus", "acme", Forbidden),
        ("taurus", "rival", NotFound),
        ("taurus", "system", NotFound),
    ):
        with pytest.raises(error):
            await as_service(service).reveal(info.id, organisation=organisation)
    with pytest.raises(NotFound):
        await as_service("taurus").reveal("nothing", organisation="acme")


async def test_an_attempts_token_reveals_only_what_it_names(argo: Argo, as_service: Clients, keys: TokenKeys) -> None:
    info = await as_service("baile").add_secret("bucket", VALUE, audiences=["worker"], organisation="acme")
    transport = httpx.ASGITransport(argo.asgi)
    async with httpx.AsyncClient(transport=transport, base_url="http://argo") as http:
        for scopes, status in (((f"secret:{info.id}",), 200), (("secret:other",), 403), ((), 403)):
            token = keys.sign(Caller("worker", "acme", scopes, "j1", 2), "argo")
            answer = await http.post(f"/v1/secrets/{info.id}/reveal", headers={"Authorization": f"Bearer {token}"})
            assert answer.status_code == status
            assert (answer.headers.get("cache-control") == "no-store") is (status == 200)
        token = keys.sign(Caller("worker", "acme", (f"secret:{info.id}",), "j1", 2), "argo")
        known = await http.get(f"/v1/secrets/{info.id}", headers={"Authorization": f"Bearer {token}"})
        assert known.status_code == 403


async def test_a_value_is_nowhere_but_in_the_cipher(
    as_service: Clients, documents: SqliteDocuments, capsys: pytest.CaptureFixture[str]
) -> None:
    baile = as_service("baile")
    info = await baile.add_secret("bucket", VALUE, audiences=["taurus"], organisation="acme")
    await as_service("taurus").reveal(info.id, organisation="acme")
    stored = await documents.get(SECRETS.name, info.id)
    assert "very-secret-text" not in str(stored.body)
    listed = [one async for one in baile.list_secrets(organisation="acme")]
    assert listed == [info] and "very-secret-text" not in str(listed)
    assert [one async for one in baile.list_secrets(organisation="rival")] == []
    with pytest.raises(BadInput) as refused:
        await baile.add_secret("x", "very-secret-text", audiences=["everybody"], organisation="acme")
    assert "very-secret-text" not in str(refused.value.problem())
    assert "very-secret-text" not in "".join(capsys.readouterr())


async def test_secrets_are_listed_page_by_page(argo: Argo, as_service: Clients, keys: TokenKeys) -> None:
    baile = as_service("baile")
    for name, project in (("c", "p"), ("a", "p"), ("b", None), ("e", None), ("d", "p")):
        await baile.add_secret(name, "value", audiences=["worker"], organisation="acme", project=project)
    await baile.add_secret("c", "value", audiences=["worker"], organisation="rival")
    pages = baile.list_secrets(organisation="acme", limit=2)
    first = await anext(pages)
    await baile.delete_secret(first.id, organisation="acme")
    assert [first.name, *[one.name async for one in pages]] == ["a", "b", "c", "d", "e"], "a deletion shifts no page"
    assert [one.name async for one in baile.list_secrets(organisation="acme", project="p", limit=1)] == ["c", "d"]
    headers = {"Authorization": f"Bearer {keys.sign(Caller('baile', 'acme'), 'argo')}"}
    transport = httpx.ASGITransport(argo.asgi)
    async with httpx.AsyncClient(transport=transport, base_url="http://argo", headers=headers) as http:
        older = (await http.get("/v1/secrets")).json()
        assert [one["name"] for one in older["items"]] == ["b", "c", "d", "e"] and older["next"] is None
        for wrong in ({"after": "no cursor"}, {"limit": 0}, {"limit": 1_001}):
            refused = await http.get("/v1/secrets", params=wrong)
            assert refused.status_code == 400 and refused.json()["field"].endswith(next(iter(wrong))), refused.text


async def test_replace_and_delete(as_service: Clients) -> None:
    baile = as_service("baile")
    info = await baile.add_secret("bucket", "old", audiences=["worker"], organisation="acme")
    new = await baile.replace_secret(info.id, "new", audiences=["taurus"], version=1, organisation="acme")
    assert (new.id, new.version, new.audiences) == (info.id, 2, ("taurus",))
    with pytest.raises(PreconditionFailed):
        await baile.replace_secret(info.id, "x", audiences=["taurus"], version=1, organisation="acme")
    assert await as_service("taurus").reveal(info.id, organisation="acme") == "new"
    with pytest.raises(NotFound):
        await baile.delete_secret(info.id, organisation="rival")
    await baile.delete_secret(info.id, organisation="acme")
    with pytest.raises(NotFound):
        await as_service("taurus").reveal(info.id, organisation="acme")
    with pytest.raises(Forbidden):
        await as_service("taurus").add_secret("x", "y", audiences=["taurus"], organisation="acme")
    with pytest.raises(Forbidden):
        await baile.add_secret("x", "y", audiences=["taurus"], organisation="system")


async def test_keys_rotate(
    as_service: Clients, settings: ArgoSettings, documents: SqliteDocuments, bus: Bus, keys: TokenKeys
) -> None:
    info = await as_service("baile").add_secret("bucket", "value", audiences=["worker"], organisation="acme")
    old = settings.fernet_keys.get_secret_value()
    new = Fernet.generate_key().decode()
    both = build(ArgoSettings(fernet_keys=SecretStr(f"{new},{old}")), documents=documents, bus=bus, keys=keys)
    assert await both.secrets.rotate() == 1
    assert await both.secrets.rotate() == 0
    only = build(ArgoSettings(fernet_keys=SecretStr(new)), documents=documents, bus=bus, keys=keys)
    await only.start()
    client = ArgoClient(only.asgi, service="worker", keys=keys)
    assert await client.reveal(info.id, organisation="acme") == "value"
    await client.close()
    await only.stop()


async def test_secrets_whose_key_is_lost_keep_no_others_from_rotating(
    as_service: Clients,
    settings: ArgoSettings,
    documents: SqliteDocuments,
    bus: Bus,
    keys: TokenKeys,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(secrets, "PAGE", 2)
    made = [
        await as_service("baile").add_secret("s", "value", audiences=["worker"], organisation="a") for _ in range(5)
    ]
    for lost in made[:3]:
        stored = await documents.get(SECRETS.name, lost.id)
        assert stored is not None
        body = {**stored.body, "cipher": Box(Fernet.generate_key().decode()).seal("value")}
        await documents.replace(SECRETS.name, lost.id, body, stored.version)
    both = f"{Fernet.generate_key().decode()},{settings.fernet_keys.get_secret_value()}"
    rotating = build(ArgoSettings(fernet_keys=SecretStr(both)), documents=documents, bus=bus, keys=keys)
    assert [await rotating.secrets.rotate() for _ in range(2)] == [2, 0]


def test_a_key_that_is_missing_or_lost_says_so() -> None:
    for text in ("", "short", "x" * 44):
        with pytest.raises(NoKey):
            Box(text)
    cipher = Box(Fernet.generate_key().decode()).seal("value")
    with pytest.raises(LostKey):
        Box(Fernet.generate_key().decode()).open(cipher)
