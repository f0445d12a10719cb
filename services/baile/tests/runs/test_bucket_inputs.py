"""Files from buckets of users' own: keys are stored once and never shown, jobs name them by reference, and what cannot
be is refused before anything is queued."""

import json
from typing import Any

import pytest
from sqlalchemy import text

from studio9_baile.database import engine_for
from studio9_baile.jobs.keys_sweeping import ON_THE_WAY, KeysSweeper
from studio9_baile.models import Base
from studio9_baile.usecases import credentials
from studio9_common.contracts.job import Input, Source
from studio9_common.errors import Conflict, Unavailable
from studio9_common.times import format_time

from .test_own_code import dataset, order, sent

__all__ = ["dataset"]

SECRET, TOKEN = "wJalrXUtnFEMI-marked-secret", "marked-session-token"
KEYS = {"name": "Harbour", "access_key": "AKIAHARBOUR", "secret_key": SECRET, "session_token": TOKEN}
FILE = {"name": "weights", "bucket": "harbour", "region": "eu-west-1", "key": "nets/base.bin"}


async def stored(api: Any, **changes: Any) -> str:
    """The id of a credential."""
    return str((await api.ok("POST", "/v1/credentials", KEYS | changes))["id"])


async def test_a_training_names_files_and_never_what_opens_them(
    ana: Any, bo: Any, installation: Any, workers: Any, dataset: str
) -> None:
    made = await ana.send("POST", "/v1/credentials", json=KEYS)
    assert made.status_code == 201, made.text
    credential = made.json()["id"]
    assert installation.stand_ins.secrets[credential] == {
        "access_key": "AKIAHARBOUR", "secret_key": SECRET, "token": TOKEN,
    }  # fmt: skip
    listed = await ana.ok("GET", "/v1/credentials")
    found = await ana.ok("GET", f"/v1/credentials/{credential}")
    assert listed["items"] == [found] and set(found) == {"id", "name", "created_at"}
    code, model = await sent(ana), (await ana.ok("POST", "/v1/models", {"name": "Ships"}))["id"]
    folder = {"name": "extra", "bucket": "harbour", "region": "eu-west-1", "prefix": "extra/", "credential": credential}
    inputs = [FILE | {"credential": credential, "sha256": "a" * 64}, folder]
    await ana.ok("POST", f"/v1/models/{model}/train", order(dataset, code, inputs=inputs))
    request = await workers.take()
    place = {"bucket": "harbour", "region": "eu-west-1", "credential": credential}
    assert request.data.spec.inputs[-2:] == (
        Input(name="weights", kind="file", source=Source(**place, key="nets/base.bin", sha256="a" * 64)),
        Input(name="extra", kind="folder", source=Source(**place, prefix="extra/")),
    )
    assert request.data.spec.secrets == (credential,)
    engine = engine_for(installation.settings.database)
    async with engine.connect() as connection:
        for table in Base.metadata.tables:
            rows = repr((await connection.execute(text(f'SELECT * FROM "{table}"'))).all())
            assert SECRET not in rows and TOKEN not in rows, table
    await engine.dispose()
    shown = [made.text, json.dumps(listed), request.data.model_dump_json()]
    assert not [one for one in shown if SECRET in one or TOKEN in one]

    body = {"username": "cy", "email": "c@lab.test", "password": "Correct-horse-9", "firstName": "C", "lastName": "Y"}
    user = (await ana.ok("POST", "/users", body))["id"]
    cy = await installation.sign_in("cy")
    for api, status in ((cy, 403), (bo, 404)):
        for method in ("GET", "DELETE"):
            assert (await api.send(method, f"/v1/credentials/{credential}")).status_code == status
        assert (await api.ok("GET", "/v1/credentials"))["items"] == []
    theirs = await stored(cy)
    await ana.ok("DELETE", f"/users/{user}")
    assert theirs not in installation.stand_ins.secrets, "keys go with their user"
    path = f"/v1/credentials/{credential}"
    assert (await ana.send("DELETE", path, headers={"If-Match": '"another"'})).status_code == 412
    assert credential in installation.stand_ins.secrets, "a refused deletion takes no keys"
    assert (await ana.send("DELETE", f"/v1/credentials/{credential}")).status_code == 204
    assert installation.stand_ins.secrets == {} and (await ana.ok("GET", "/v1/credentials"))["items"] == []


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "one of the platform's names": ({"name": "train"}, "inputs.0.name"),
    "one that only the platform's own tasks read": ({"name": "state"}, "inputs.0.name"),
    "no name of a folder": ({"name": "../x"}, "inputs.0.name"),
    "no bucket": ({"bucket": "s3://harbour"}, "inputs.0.bucket"),
    "no region of AWS": ({"region": "moon-1"}, "inputs.0.region"),
    "key and prefix": ({"prefix": "a/"}, "inputs.0.key"),
    "neither": ({"key": None}, "inputs.0.key"),
    "a prefix of half a name": ({"key": None, "prefix": "shi"}, "inputs.0.prefix"),
    "a key that leads up": ({"key": "a/../b"}, "inputs.0.key"),
    "a checksum that is none": ({"sha256": "z" * 64}, "inputs.0.sha256"),
    "an unknown credential": ({"credential": "nobodys"}, "inputs.0.credential"),
    "an endpoint inside": ({"endpoint": "https://127.0.0.1:9000"}, "inputs.0.endpoint"),
    "an endpoint without TLS": ({"endpoint": "http://8.8.8.8"}, "inputs.0.endpoint"),
    "an endpoint with a path": ({"endpoint": "https://8.8.8.8/a?b"}, "inputs.0.endpoint"),
    "no code that would read it": ({"code": None}, "inputs"),
    "one name twice": ({"twice": True}, "inputs.1.name"),
}


async def test_what_cannot_be_brought_is_refused_before_it_is_queued(
    ana: Any, bo: Any, installation: Any, dataset: str
) -> None:
    code, model = await sent(ana), (await ana.ok("POST", "/v1/models", {"name": "Ships"}))["id"]
    credential = await stored(ana)
    cases = BAD | {"another organisation's credential": ({"credential": await stored(bo)}, "inputs.0.credential")}
    for case, (changes, field) in cases.items():
        given = FILE | {"credential": credential} | changes
        one = {name: value for name, value in given.items() if value is not None and name not in ("code", "twice")}
        body = order(dataset, code, inputs=[one, one] if "twice" in changes else [one])
        if "code" in changes:
            body = {"dataset_version_id": dataset, "config": {"architecture": "YOLO11N", "head": "YOLO_HEAD"}}
            body["inputs"] = [one]
        answer = await ana.send("POST", f"/v1/models/{model}/train", json=body)
        assert answer.status_code == 400, f"{case}: {answer.text}"
        assert answer.json()["field"] == field and answer.json()["fix"], f"{case}: {answer.text}"
        assert SECRET not in answer.text
    assert (await ana.ok("GET", f"/v1/models/{model}/versions"))["items"] == []


@pytest.mark.parametrize(
    "changes", [{"secret_key": f"{SECRET}\n"}, {"secret_key": ""}, {"access_key": "a b\t"}, {"session_token": [TOKEN]}]
)
async def test_keys_that_cannot_be_are_refused_and_not_repeated(
    ana: Any, installation: Any, changes: dict[str, Any]
) -> None:
    answer = await ana.send("POST", "/v1/credentials", json=KEYS | changes)
    assert answer.status_code == 400 and next(iter(changes)) in answer.json()["field"], answer.text
    assert SECRET not in answer.text and TOKEN not in answer.text
    assert installation.stand_ins.secrets == {}


async def test_keys_that_no_credential_names_any_more_are_forgotten(ana: Any, bo: Any, installation: Any) -> None:
    core, secrets, kept = installation.baile.core, installation.stand_ins.secrets, installation.stand_ins.kept
    named, lost, new = [await stored(ana) for _ in range(3)]
    theirs, other, late = await stored(bo), await stored(ana), await stored(ana)
    kept[other]["name"] = "transfer 1"
    for one in set(kept) - {new}:
        kept[one]["updated_at"] = format_time(core.clock.now() - ON_THE_WAY)
    async with core.database.write(kept[lost]["organisation"]) as work:
        for gone in (lost, new, other, late):
            await work.credentials.remove(await work.credentials.get(gone))
    await KeysSweeper(core).step()
    assert set(secrets) == {named, new, theirs, other}, "a new one's row may still come; others are not this sweep's"


async def test_what_went_wrong_with_a_credential_is_told_though_its_keys_cannot_be_forgotten(
    ana: Any, installation: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    core, rooms = installation.baile.core, iter((None, Conflict("You have too many credentials")))

    async def away(*given: Any, **named: Any) -> None:
        raise Unavailable("Argo is away")

    async def room(work: Any, caller: Any) -> None:
        if problem := next(rooms):
            raise problem

    monkeypatch.setattr(core.argo, "delete_secret", away)
    monkeypatch.setattr(credentials, "_check_room", room)
    assert (await ana.send("POST", "/v1/credentials", json=KEYS)).status_code == 409
    monkeypatch.undo()
    (left,) = installation.stand_ins.kept.values()
    left["updated_at"] = format_time(core.clock.now() - ON_THE_WAY)
    await KeysSweeper(core).step()
    assert installation.stand_ins.secrets == {}
