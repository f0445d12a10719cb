"""Code of a user's own: packages are judged before they are kept, trained with in a container alone, and go along with
the models that need them."""

import asyncio
import hashlib
import io
import stat
import zipfile
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import inspect

from studio9_baile.jobs.sweeping import Sweeper
from studio9_baile.repositories.base import Slice
from studio9_baile.security import archives
from studio9_common.contracts.job import Input, ObjectRef
from studio9_common.errors import NotFound

FILES = {"own/__init__.py": b"", "own/trainer.py": b"class Ships: ...\n", "README.md": b"mine"}
ENTRY = "own.trainer:Ships"
MIB = 1 << 20


def packed(files: Mapping[str, bytes] = FILES, *, way: int = zipfile.ZIP_DEFLATED, mode: int = 0o644) -> bytes:
    """A zip archive, the same for the same files."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", way) as archive:
        for name, data in files.items():
            info = zipfile.ZipInfo(name)
            info.external_attr, info.compress_type = mode << 16, way
            archive.writestr(info, data)
    return content.getvalue()


async def send(api: Any, content: bytes = packed(), name: str = "Ships", **options: Any) -> Any:
    return await api.send("POST", "/v1/code", params={"name": name}, content=content, **options)


async def sent(api: Any, content: bytes = packed()) -> str:
    """The id of a package that was taken."""
    answer = await send(api, content)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def own_heads(catalogue: dict[str, Any]) -> dict[str, Any]:
    """A worker's catalogue with trainers of users' own."""
    common = {"framework": "custom", "package": "studio9-trainers", "module": "m", "class_name": "Loop"}
    made = deepcopy(catalogue)
    made["architectures"].append({"id": "CUSTOM", "name": "Your own", **common})
    epochs = {"type": "int", "name": "epochs", "min": 1, "max": 3000, "defaults": [25]}
    made["heads"].append(
        {
            "id": "CUSTOM_DETECTOR", "name": "Your own", "consumer": "detector", "architectures": ["CUSTOM"], **common,
            "parameters": [epochs, {"type": "string", "name": "entry"}],
        }
    )  # fmt: skip
    inputs = [{"name": "train", "holds": "pictures"}, {"name": "code", "holds": "code"}]
    made["tasks"].append({"kind": "train", "framework": "custom", "inputs": inputs})
    return made


@pytest.fixture
async def dataset(ana: Any, installation: Any, albums: dict[str, str]) -> str:
    """A dataset version; a worker brings trainers of users' own."""
    worker = installation.stand_ins.documents["workers"]["w1"]
    installation.stand_ins.documents["workers"] = {"w1": {**worker, "catalogue": own_heads(worker["catalogue"])}}
    body = {"albums": {"train": albums["train"], "test": albums["test"]}}
    return str((await ana.ok("POST", "/v1/dataset-versions", body))["id"])


def order(dataset: str, package: str, **changes: Any) -> dict[str, Any]:
    config = {"head": "CUSTOM_DETECTOR", "head_parameters": {"epochs": 3}}
    given = {"dataset_version_id": dataset, "framework": "custom", "code": package, "entry": ENTRY, "config": config}
    return {key: value for key, value in (given | changes).items() if value is not None}


async def keys(installation: Any) -> list[str]:
    """The objects of all packages."""
    async with installation.baile.core.database.system(writing=False) as system:
        organisations = await system.organisation_ids()
    return [info.key for one in organisations async for info in installation.objects.list(f"{one}/code/")]


async def test_a_package_is_kept_once_and_shown_to_its_owner(ana: Any, bo: Any, installation: Any) -> None:
    first = (await send(ana)).json()
    assert first["files"] == sorted(FILES) and first["sha256"] == hashlib.sha256(packed()).hexdigest()
    assert (first["size"], first["unpacked"]) == (len(packed()), sum(map(len, FILES.values())))
    second = await sent(ana)
    assert second != first["id"] and len(await keys(installation)) == 1, "the same bytes are stored once"
    listed = (await ana.ok("GET", "/v1/code"))["items"]
    assert [one["id"] for one in listed] == [second, first["id"]] and "files" not in listed[0]
    found = await ana.ok("GET", f"/v1/code/{first['id']}")
    async with installation.http() as http:
        assert (await http.get(found["url"])).content == packed()
    body = {"username": "cy", "email": "c@lab.test", "password": "Correct-horse-9", "firstName": "C", "lastName": "Y"}
    await ana.ok("POST", "/users", body)
    cy = await installation.sign_in("cy")
    for api, status in ((cy, 403), (bo, 404)):
        for method in ("GET", "DELETE"):
            assert (await api.send(method, f"/v1/code/{second}")).status_code == status
        assert (await api.ok("GET", "/v1/code"))["items"] == []
    await sent(bo)
    assert len(await keys(installation)) == 2, "each organisation has its own"
    for one in (first["id"], second):
        assert (await ana.send("DELETE", f"/v1/code/{one}")).status_code == 204
    core = installation.baile.core
    at_once = replace(core, settings=core.settings.model_copy(update={"orphan_age_s": 0.0}))
    for _ in range(2):
        await Sweeper(at_once).step()
    theirs = core.tokens.read(bo.token).organisation
    assert [key.partition("/")[0] for key in await keys(installation)] == [theirs], "what nothing names is removed"


def twice() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("a.py", b"1")
        archive.writestr("a.py", b"2")
    return content.getvalue()


def lying(change: Callable[[bytearray, int], None]) -> bytes:
    """A package whose directory says something else of its first entry."""
    content = bytearray(packed({"a.py": b"A = 1\n" * 100}))
    change(content, content.index(b"PK\x01\x02"))
    return bytes(content)


def smaller(content: bytearray, at: int) -> None:
    content[at + 24 : at + 28] = (7).to_bytes(4, "little")


def encrypted(content: bytearray, at: int) -> None:
    content[at + 8] |= 1


BAD = {
    "no archive": (b"PK neither", "cannot be read"),
    "damaged": (packed()[:-30], "cannot be read"),
    "no code": (packed({"README.md": b""}), "no Python file"),
    "nothing": (packed({}), "no Python file"),
    "out of it": (packed({"../../outputs/model.py": b""}), "dotted"),
    "absolute": (packed({"/etc/a.py": b""}), "absolute"),
    "backslashes": (packed({"own\\a.py": b""}), "backslash"),
    "control character": (packed({"own/a\n.py": b""}), "control"),
    "invisible": (packed({"own/a\u202e.py": b""}), "cannot be used"),
    "long": (packed({"a" * 201 + ".py": b""}), "at most 200"),
    "deep": (packed({"a/" * 17 + "a.py": b""}), "too deep"),
    "file and folder": (packed({"a.py": b"", "a.py/b.py": b""}), "a file and a folder"),
    "link": (packed({"a.py": b"/etc/passwd"}, mode=stat.S_IFLNK | 0o777), "a link"),
    "device": (packed({"a.py": b""}, mode=stat.S_IFCHR | 0o666), "no plain file"),
    "twice": (twice(), "in it twice"),
    "odd method": (packed(way=zipfile.ZIP_LZMA), "not packed as usual"),
    "encrypted": (lying(encrypted), "encrypted"),
    "false size": (lying(smaller), "cannot be read"),
    "many": (packed({f"a{number}.py": b"" for number in range(archives.MOST_ENTRIES + 1)}), "more than 2000 entries"),
    "bomb": (packed({f"a{number}.py": bytes(MIB) for number in range(3)}), "unpacks to"),
}


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_what_is_no_package_is_refused_and_leaves_nothing(
    ana: Any, installation: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "UNPACKED", 3 * MIB - 1)
    for name, (content, message) in BAD.items():
        refused = await send(ana, content)
        assert refused.status_code == 400, f"{name}: {refused.text}"
        told = refused.json()
        assert told["field"] == "body" and told["fix"] and message in str(told), f"{name}: {told}"
    assert (await send(ana, b"")).status_code == 400
    assert (await send(ana, name=" ")).json()["field"] == "name"
    await installation.stop()
    await installation.start(max_code=len(packed()) - 1)
    ana.http = installation.http()
    assert (await send(ana)).status_code == 413
    assert (await send(ana, bytes(MIB))).status_code == 413
    assert (await ana.ok("GET", "/v1/code"))["items"] == [] and await keys(installation) == []


async def test_a_named_upload_is_carried_out_once(ana: Any) -> None:
    key = {"Idempotency-Key": "code-1"}
    first, again = [await send(ana, headers=key) for _ in range(2)]
    assert first.status_code == 201 and again.json() == first.json()
    assert again.headers["Idempotency-Replayed"] == "true"
    assert (await send(ana, packed({"b.py": b""}), headers=key)).status_code == 422
    assert len((await ana.ok("GET", "/v1/code"))["items"]) == 1


async def test_a_model_of_ones_own_code(
    ana: Any, installation: Any, workers: Any, albums: dict[str, str], dataset: str, until: Any
) -> None:
    code = await sent(ana)
    sha256 = hashlib.sha256(packed()).hexdigest()
    model = (await ana.ok("POST", "/v1/models", {"name": "Ships"}))["id"]
    started = await ana.ok("POST", f"/v1/models/{model}/train", order(dataset, code))
    request = await workers.take()
    spec = request.data.spec
    ref = ObjectRef(key=f"{request.organisation}/code/{sha256}.zip", sha256=sha256, size=len(packed()))
    given = Input(name="code", kind="file", ref=ref)
    assert (spec.framework, spec.untrusted) == ("custom", True) and given in spec.inputs
    assert (spec.parameters["architecture"], spec.parameters["head"]) == ("CUSTOM", "CUSTOM_DETECTOR")
    assert spec.parameters["head_parameters"] == {"epochs": 3, "entry": ENTRY}
    await workers.complete(request)
    path = f"/v1/models/{model}/versions/{started['model_version']}"

    async def done() -> bool:
        return bool((await ana.ok("GET", path))["status"] == "ACTIVE")

    await until(done)
    version = await ana.ok("GET", path)
    assert version["code"] == code
    assert {"kind": "CODE_PACKAGE", "id": code, "role": "trained_with", "job": started["training_session"]} in version[
        "made_from"
    ]
    predict = {"modelId": model, "name": "p", "input": albums["plain"]}
    await ana.ok("POST", "/cv-predictions", predict)
    predicting = await workers.other(request)
    assert given in predicting.data.spec.inputs
    target = {"id": model, "type": "CV_MODEL"}
    online = {
        "name": "quay", "target": target,
        "options": {"type": "ONLINE_CV_PREDICTION", "inputBucketId": "local", "inputImagesPath": "",
                    "outputAlbumName": "arrivals"},
    }  # fmt: skip
    stream = (await ana.ok("POST", "/online-jobs", online))["id"]

    async def told() -> Any:
        return installation.stand_ins.config.get((request.organisation, "taurus", f"stream_{stream}"))

    assert (await until(told))["code"] == {"key": ref.key, "sha256": sha256, "size": len(packed())}
    api = (await ana.ok("POST", "/online-apis", {"name": "ask", "description": None, "target": target}))["id"]
    files = {"file": ("x.png", await picture(ana, albums["plain"]), "image/png")}
    calling = asyncio.create_task(ana.send("POST", f"/api-call/{api}/predict", files=files))
    asked = await workers.other(request, predicting)
    assert given in asked.data.spec.inputs
    await workers.complete(asked)
    assert (await calling).status_code == 200, calling.result().text
    refused = await ana.send("DELETE", f"/v1/code/{code}")
    assert refused.status_code == 409 and "delete the model first" in refused.text
    exported = (await ana.http.get(await ana.ok("GET", f"/cv-models/{model}/export"))).content
    brought = await ana.send("POST", "/cv-models/import", files={"file": ("m.bin", exported)}, data={"name": "again"})
    assert brought.status_code == 400 and "code of its maker" in brought.text
    for kind, one in (("online-apis", api), ("online-jobs", stream)):
        await ana.ok("DELETE", f"/{kind}/{one}")
    for one in (await ana.ok("GET", "/cv-predictions"))["data"]:
        await ana.ok("DELETE", f"/cv-predictions/{one['id']}")
    await ana.ok("DELETE", f"/cv-models/{model}")
    assert (await ana.send("DELETE", f"/v1/code/{code}")).status_code == 204


async def picture(api: Any, album: str) -> bytes:
    (first, *_) = (await api.ok("GET", f"/albums/{album}/pictures"))["data"]
    return bytes((await api.http.get(first["filepath"])).content)


CONFIG = {"architecture": "YOLO11N", "head": "YOLO_HEAD"}


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_what_cannot_be_trained_is_refused_before_it_is_queued(
    ana: Any, bo: Any, workers: Any, dataset: str, installation: Any, experiment: Any, albums: dict[str, str]
) -> None:
    code = await sent(ana)
    model = (await ana.ok("POST", "/v1/models", {"name": "Ships"}))["id"]
    theirs = await sent(bo)
    twice = {"head": "CUSTOM_DETECTOR", "head_parameters": {"entry": "own.trainer:Other"}}
    for changes, field in (
        ({"code": None, "entry": None}, "code"),
        ({"code": None}, "code"),
        ({"entry": None}, "entry"),
        ({"code": "unknown"}, "code"),
        ({"code": theirs}, "code"),
        ({"entry": "own.trainer"}, "entry"),
        ({"entry": "own/trainer:Ships"}, "entry"),
        ({"entry": "own.missing:Ships"}, "entry"),
        ({"entry": "os:system"}, "entry"),
        ({"config": twice}, "config.head_parameters.entry"),
        ({"config": CONFIG, "framework": None}, "code"),
        ({"config": CONFIG}, "framework"),
        ({"framework": "nothing"}, "framework"),
        ({"config": {"head": "CUSTOM_DETECTOR", "head_parameters": {"epochs": 0}}}, "config.head_parameters.epochs"),
        ({"config": {"head": "CUSTOM_DETECTOR", "head_parameters": 7}}, "config.head_parameters"),
    ):  # fmt: skip
        refused = await ana.send("POST", f"/v1/models/{model}/train", json=order(dataset, code, **changes))
        assert refused.status_code == 400, f"{changes}: {refused.text}"
        assert refused.json()["field"] == field and refused.json()["fix"], f"{changes}: {refused.text}"
    assert (await ana.ok("GET", f"/v1/models/{model}/versions"))["items"] == []
    offered = [
        one["id"] for name in ("architectures", "detectors") for one in await ana.ok("GET", f"/config/cv-{name}")
    ]
    assert "YOLO11N" in offered and not [one for one in offered if one.startswith("CUSTOM")], "the form sends no code"
    body = experiment(
        albums, architecture="CUSTOM", modelType={"tlType": "LOCALIZATION", "detectorType": "CUSTOM_DETECTOR"}
    )
    told = await ana.refused(400, "POST", "/experiments", body)
    assert "code of your own" in told["message"]
    assert await workers.take_all() == []


async def test_lists_leave_the_names_of_files_where_they_are(ana: Any, installation: Any) -> None:
    code = await sent(ana)
    claims = installation.baile.core.tokens.read(ana.token)
    async with installation.baile.core.database.read(claims.organisation) as work:
        (listed,) = await work.code.heads(claims.user, Slice())
        assert inspect(listed).unloaded == {"files"}
        assert await work.code.heads(claims.user, Slice(before=code)) == []
    async with installation.baile.core.database.read(claims.organisation) as work:
        assert inspect(await work.code.head(code)).unloaded == {"files"}
        with pytest.raises(NotFound):
            await work.code.head("unknown")
    theirs = installation.baile.core.tokens.read((installation.signed_in("bo")).token).organisation
    async with installation.baile.core.database.read(theirs) as work:
        with pytest.raises(NotFound):
            await work.code.head(code)


async def test_packages_of_a_user_who_goes(ana: Any, installation: Any) -> None:
    for number, heir in enumerate((True, False)):
        name = f"cy{number}"
        body = {
            "username": name, "email": f"{name}@lab.test", "password": "Correct-horse-9", "firstName": "C",
            "lastName": "Y",
        }  # fmt: skip
        user = (await ana.ok("POST", "/users", body))["id"]
        await ana.ok("PUT", f"/v1/users/{user}/role", {"role": "editor"})
        await sent(await installation.sign_in(name))
        query = f"?transferOwnershipTo={(await ana.ok('GET', '/me'))['id']}" if heir else ""
        await ana.ok("DELETE", f"/users/{user}{query}")
        assert len((await ana.ok("GET", "/v1/code"))["items"]) == 1, "they go to the heir, or with the user"
