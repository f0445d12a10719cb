"""Every route of both APIs, asked for the assets of one organisation by every role of another: whoever asks learns no
more than about an id that nobody has, and nothing changes. The routes come from the apps: a new one is in at once."""

import hashlib
import io
import json
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy import text

from studio9_baile.database import engine_for
from studio9_baile.models import Base
from studio9_baile.models.identity import Role
from studio9_common.ids import new_id

PASSWORD = "Correct-horse-9"
METHODS = ("get", "post", "put", "patch", "delete")
MARK = "kraken"
"""In every name and label of the organisation that is not to be seen."""
# What Baile's own work behind the requests writes, whoever asks.
MOVING = {"outbox", "events", "processes", "config_writes", "tallies", "sign_ins", "idempotency_keys", "audit"}
BUCKET = {"s3Bucket": {"AWSS3BucketId": "local"}, "path": "x"}
STEPS = [{"augmentationType": "MIRRORING", "flipAxes": [0], "bloatFactor": 1}]
VARY = {"rate": {"kind": "float", "low": 0.001, "high": 0.1}}
PLAIN_BODIES: dict[str, Any] = {
    "POST /albums/{album_id}/copy": {"name": "stolen"},
    "POST /albums/{album_id}/augment": {"outputName": "stolen", "augmentations": STEPS},
    "PUT /albums/{album_id}/pictures": {"pictureMetaList": [{"filepath": "x", "filename": "x"}]},
    "POST /datasets/{dataset_id}/import": {"from": BUCKET},
    "POST /datasets/{dataset_id}/export": {"to": BUCKET},
    "POST /projects/{project_id}/folders": {"path": "a"},
    "PUT /v1/users/{user_id}/role": {"role": "viewer"},
    "PATCH /v1/albums/{album_id}": {"name": "stolen"},
    "PUT /v1/albums/{album_id}/pictures/{picture_id}/labels": {"shapes": []},
    "PATCH /v1/models/{model_id}": {"name": "stolen"},
    "POST /v1/dataset-versions/{version_id}/tile": {},
    "PUT /projects/{project_id}/{kind}/{asset_id}": {},
}


@dataclass
class Seed:
    """The assets of the first organisation."""

    ids: dict[str, str] = field(default_factory=dict)
    by_segment: dict[str, str] = field(default_factory=dict)
    urls: list[str] = field(default_factory=list)

    def value(self, path: str, name: str) -> str:
        """What stands for a parameter of a path."""
        segment = path.removeprefix("/v1").strip("/").split("/")[0]
        if name == "kind":
            return "albums"
        return self.ids.get(name) or self.by_segment.get(segment) or self.ids["album_id"]


@pytest.fixture
async def seed(ana: Any, installation: Any, workers: Any, png: Any, experiment: Any, until: Any) -> Seed:
    """One of everything, all of it with the mark in its name. Its webhook leads to nobody on this machine."""
    await installation.stop()
    await installation.start(webhooks_private=True)
    ana.http = installation.http()
    album = (await ana.ok("POST", "/albums", {"name": f"{MARK} album", "labelMode": "LOCALIZATION"}))["id"]
    picture = await ana.upload(album, f"{MARK} one", png())
    area = {"top": 1, "left": 1, "width": 9, "height": 9}
    tags = {"tags": [{"label": MARK, "area": area}]}
    await ana.ok("PUT", f"/albums/{album}/pictures/{picture['id']}", tags)
    files = {"file": ("l.csv", f"{MARK} one,{MARK},1,1,9,9\n".encode(), "text/csv")}
    await ana.ok("POST", f"/albums/{album}/uploadLabels", files=files)
    body = experiment({"train": album, "test": album}, name=f"{MARK} run", trainParams=None)
    run = (await ana.ok("POST", "/experiments", body))["id"]
    await workers.complete(await workers.take())

    async def done() -> bool:
        return bool((await ana.ok("GET", f"/experiments/{run}"))["status"] == "COMPLETED")

    await until(done)
    process = (await ana.ok("GET", f"/experiments/{run}/process"))["id"]
    step = (await ana.ok("GET", f"/experiments/{run}"))["result"]["step1"]
    model = step["cvModelId"]
    await ana.ok("POST", f"/cv-models/{model}/save", {"name": f"{MARK} model"})
    check = {"modelId": model, "name": f"{MARK} check", "input": album, "outputAlbumName": f"{MARK} out"}
    prediction = (await ana.ok("POST", "/cv-predictions", check))["id"]
    online = {
        "name": f"{MARK} quay", "target": {"id": model, "type": "CV_MODEL"},
        "options": {"type": "ONLINE_CV_PREDICTION", "inputBucketId": "local", "inputImagesPath": "",
                    "outputAlbumName": f"{MARK} arrivals"},
    }  # fmt: skip
    deployment = (await ana.ok("POST", "/online-jobs", online))["id"]
    project = (await ana.ok("POST", "/projects", {"name": f"{MARK} project"}))["id"]
    folder = (await ana.ok("POST", f"/projects/{project}/folders", {"path": MARK}))["id"]
    await ana.ok("PUT", f"/projects/{project}/albums/{album}", {"folderId": folder})
    share = await ana.ok(
        "POST", "/shares", {"name": MARK, "assetType": "ALBUM", "assetId": album, "recipientEmail": "x@kraken.test"}
    )
    notes = (await ana.ok("POST", "/datasets", {"name": f"{MARK} notes"}))["id"]
    await ana.ok("POST", f"/datasets/{notes}/files", files={"file": ("b.txt", MARK.encode(), "text/plain")})
    asked = {"name": f"{MARK} ask", "description": None, "target": {"id": model, "type": "CV_MODEL"}}
    api = (await ana.ok("POST", "/online-apis", asked))["id"]
    webhook = (await ana.ok("POST", "/v1/webhooks", {"url": f"http://127.0.0.1:9/{MARK}"}))["id"]
    revisions = await ana.ok("GET", f"/v1/albums/{album}/pictures/{picture['id']}/label-revisions")
    (notification, *_) = (await ana.ok("GET", "/v1/notifications"))["items"]
    dataset = await ana.ok("POST", "/v1/dataset-versions", {"albums": {"train": album}})
    tuned = (await ana.ok("POST", "/v1/models", {"name": f"{MARK} tuned"}))["id"]
    both = await ana.ok("POST", "/v1/dataset-versions", {"albums": {"train": album, "val": album}})
    wanted = {"architecture": "YOLO11N", "head": "YOLO_HEAD"}
    search = {"dataset_version_id": both["id"], "config": wanted, "vary": VARY}
    tuning = (await ana.ok("POST", f"/v1/models/{tuned}/tune", search))["tuning_session"]
    token = await ana.ok("POST", "/v1/tokens", {"name": MARK, "scopes": ["read"]})
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr(f"{MARK}.py", b"class Own: ...")
    sent = await ana.send("POST", f"/v1/code?name={MARK}", content=package.getvalue())
    assert sent.status_code == 201, sent.text
    keys = {"name": f"{MARK} keys", "access_key": MARK, "secret_key": MARK}
    credential = (await ana.ok("POST", "/v1/credentials", keys))["id"]
    versions = await ana.ok("GET", f"/v1/models/{model}/versions")
    user = (await ana.ok("GET", "/me"))["id"]
    ids = {
        "album_id": album, "picture_id": picture["id"], "model_id": model, "process_id": process,
        "session_id": process, "project_id": project, "folder_id": folder, "user_id": user, "share_id": share["id"],
        "token_id": token["id"], "name": "b.txt", "webhook_id": webhook, "notification_id": notification["id"],
        "revision_id": revisions["items"][0]["id"],
        "code_id": sent.json()["id"], "tuning_id": tuning, "credential_id": credential,
    }  # fmt: skip
    segments = {
        "experiments": run, "cv-predictions": prediction, "online-jobs": deployment, "albums": album,
        "cv-models": model, "models": versions["items"][0]["id"], "dataset-versions": dataset["id"],
        "jobs": process, "processes": process, "projects": album, "online-apis": api, "api-call": api,
        "datasets": notes, "tables": step["probabilityPredictionTableId"],
    }  # fmt: skip
    urls = [picture["filepath"], dataset["manifests"][0]["url"]]
    return Seed(ids, segments, urls)


@pytest.fixture
async def intruders(bo: Any, installation: Any) -> dict[str, Any]:
    """A user of every role in the other organisation, a personal token of its owner, and nobody."""
    found: dict[str, Any] = {"owner": bo}
    for role in Role:
        if role is Role.owner:
            continue
        body = {
            "username": f"b-{role}", "email": f"{role}@harbour.test", "password": PASSWORD, "firstName": "B",
            "lastName": "B",
        }  # fmt: skip
        user = (await bo.ok("POST", "/users", body))["id"]
        await bo.ok("PUT", f"/v1/users/{user}/role", {"role": role.value})
        found[role.value] = await installation.sign_in(f"b-{role}")
    made = await bo.ok("POST", "/v1/tokens", {"name": "t", "scopes": ["read", "label", "edit", "run", "manage"]})
    found["token"] = type(bo)(bo.http, made["token"])
    found["nobody"] = type(bo)(bo.http, "")
    return found


def routes(installation: Any) -> Iterator[tuple[str, str]]:
    """(method, path) of both APIs."""
    asgi = installation.baile.asgi
    for document in (asgi.state.v2.openapi(), asgi.openapi()):
        for path, methods in document["paths"].items():
            if not path.startswith(("/health", "/ready", "/metrics", "/objects")):
                yield from ((method.upper(), path) for method in methods if method in METHODS)


def aimed(seed: Seed, method: str, path: str) -> Iterator[tuple[str, Any, tuple[str, ...]]]:
    """(path, body, ids in it) that aim at the seed: by the path, and by a share of it."""
    names = re.findall(r"{(\w+)}", path)
    values = {name: seed.value(path, name) for name in names}
    target = path.format(**values)
    body = PLAIN_BODIES.get(f"{method} {path}", {"name": "stolen", "tags": []})
    if path.endswith(("/train", "/tune")):
        body = {"dataset_version_id": seed.by_segment["dataset-versions"], "config": {}}
        if path.endswith("/tune"):
            body["vary"] = VARY
    yield target, body, tuple(values.values())
    if method == "GET":
        yield f"{target}?shared_resource_id={seed.ids['share_id']}", None, (*values.values(), seed.ids["share_id"])


def named_in_bodies(seed: Seed, experiment: Any) -> list[tuple[str, str, Any]]:
    """Requests that name the seed in their bodies or queries."""
    ids = seed.ids
    album, model = ids["album_id"], ids["model_id"]
    return [
        ("POST", "/experiments", experiment({"train": album, "test": album}, name="x")),
        ("POST", "/cv-predictions", {"modelId": model, "input": album, "name": "x"}),
        ("POST", "/albums", {"name": "x", "labelMode": "LOCALIZATION", "copyPicturesFrom": [album]}),
        ("POST", "/shares", {"assetType": "ALBUM", "assetId": album, "recipientEmail": "b@harbour.test"}),
        ("POST", "/v1/dataset-versions", {"albums": {"train": album}}),
        ("GET", f"/shares?asset_id={album}&asset_type=ALBUM", None),
        ("GET", f"/albums?projectId={ids['project_id']}", None),
        ("GET", f"/albums?projectId={ids['project_id']}&folderId={ids['folder_id']}&scope=all", None),
        ("POST", "/online-jobs", {"name": "x", "target": {"id": model, "type": "CV_MODEL"}, "options": {
            "type": "ONLINE_CV_PREDICTION", "inputBucketId": "local", "inputImagesPath": "", "outputAlbumName": "o"}}),
    ]  # fmt: skip


async def rows_of(installation: Any, organisation: str) -> dict[str, str]:
    """A digest of each table's rows of an organisation."""
    engine, found = engine_for(installation.settings.database), {}
    async with engine.connect() as connection:
        for name, table in Base.metadata.tables.items():
            if name not in MOVING and "organisation" in table.c:
                sql = f"SELECT * FROM {name} WHERE organisation = :organisation ORDER BY id"
                rows = (await connection.execute(text(sql), {"organisation": organisation})).all()
                found[name] = hashlib.sha256(repr(rows).encode()).hexdigest()
    await engine.dispose()
    return found


def told(answer: Any, ids: tuple[str, ...]) -> str:
    """An answer without the ids that were asked for, so that two can be compared."""
    content = answer.text
    for number, one in enumerate(sorted(set(ids), key=len, reverse=True)):
        content = content.replace(one, "<id>" if len(one) > 10 else f"<{number}>")
    return f"{answer.status_code} {content}"


def unknown(ids: tuple[str, ...], target: str, body: Any) -> tuple[str, Any, tuple[str, ...]]:
    """The same request about ids that nobody has."""
    whole = json.dumps([target, body])
    fresh = []
    for one in ids:
        if len(one) > 10:
            other = new_id()
            whole = whole.replace(one, other)
            fresh.append(other)
        else:
            fresh.append(one)
    target, body = json.loads(whole)
    return target, body, tuple(fresh)


def options(target: str, body: Any, method: str) -> dict[str, Any]:
    if method == "GET":
        return {}
    if re.search(r"/(uploadPicture|uploadLabels|files|predict)(\?|$)", target):
        return {"files": {"file": ("x.png", b"x", "image/png")}, "data": {"filename": "x"}}
    return {"json": body}


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_no_role_of_another_organisation_learns_or_changes_anything(
    installation: Any, ana: Any, seed: Seed, intruders: dict[str, Any], experiment: Any
) -> None:
    core = installation.baile.core
    organisation = core.tokens.read(ana.token).organisation
    before = await rows_of(installation, organisation)
    everything = set(seed.ids.values()) | set(seed.by_segment.values())
    tried, leaks, paths = 0, [], set()

    async def compare(who: str, api: Any, method: str, target: str, body: Any, ids: tuple[str, ...]) -> None:
        nonlocal tried
        answer = await api.send(method, target, **options(target, body, method))
        other, changed, fresh = unknown(ids, target, body)
        reference = await api.send(method, other, **options(other, changed, method))
        tried += 1
        sent = json.dumps([target, body])
        seen = [one for one in everything if one in answer.text and one not in sent]
        same = told(answer, ids) == told(reference, fresh)
        if answer.status_code >= 500 or not same or seen or MARK in answer.text:
            leaks.append(f"{who}: {method} {target}: {answer.status_code} {answer.text[:200]} / {reference.text[:200]}")

    for method, path in routes(installation):
        if "{" not in path:
            continue
        paths.add((method, path))
        for who, api in intruders.items():
            for target, body, ids in aimed(seed, method, path):
                await compare(who, api, method, target, body, ids)
    named = tuple(sorted(everything))
    for method, target, body in named_in_bodies(seed, experiment):
        for who, api in intruders.items():
            await compare(who, api, method, target, body, named)
    for method, path in routes(installation):
        if method != "GET" or "{" in path or path.endswith(("/events", "/openapi.json", "/status")):
            continue
        paths.add((method, path))
        for who, api in intruders.items():
            for query in ("", f"?search={MARK}&scope=all", f"?firstName=ana&search={MARK}"):
                answer = await api.send("GET", path + query)
                tried += 1
                if MARK in answer.text or any(one in answer.text for one in everything):
                    leaks.append(f"{who}: {path}{query}: {answer.text[:200]}")
    assert leaks == [], f"{len(leaks)} leaks of {tried}:\n" + "\n".join(leaks[:10])
    assert await rows_of(installation, organisation) == before, "somebody has changed something"
    print(f"tenancy matrix: {len(paths)} routes, {len(intruders)} callers, {tried} requests, {len(leaks)} leaks")
    assert len(paths) > 90 and tried > 1_000
    counts = await intruders["owner"].ok("GET", "/me/stats?scope=all")
    assert all(value == 0 for value in counts.values())


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_the_owner_is_answered_otherwise(installation: Any, ana: Any, seed: Seed) -> None:
    """Each of the same requests reaches something of the seed: else the matrix could find no leak there."""
    blind = []
    for method, path in sorted(routes(installation), key=lambda one: (one[0] == "DELETE", -one[1].count("/"))):
        if "{" not in path:
            continue
        target, body, ids = next(aimed(seed, method, path))
        other, changed, fresh = unknown(ids, target, body)
        reference = await ana.send(method, other, **options(other, changed, method))
        answer = await ana.send(method, target, **options(target, body, method))
        if told(answer, ids) == told(reference, fresh):
            blind.append(f"{method} {path}: {answer.status_code} {answer.text[:200]}")
    assert blind == [], "\n".join(blind)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_events_and_urls_stay_in_their_organisation(
    installation: Any, ana: Any, seed: Seed, intruders: dict[str, Any]
) -> None:
    core = installation.baile.core
    bo = intruders["owner"]
    mine, theirs = (core.tokens.read(api.token).organisation for api in (bo, ana))
    async with core.database.read(mine) as work:
        heard = await work.events.after(0, core.tokens.read(bo.token).user, 10_000)
    everything = set(seed.ids.values()) | set(seed.by_segment.values())
    assert not [one for one in heard if any(part in json.dumps(one.data) for part in everything)]
    async with core.database.read(theirs) as work:
        assert await work.events.after(0, core.tokens.read(ana.token).user, 10), "there was something to hear"
    for url in seed.urls:
        assert (await ana.http.get(url)).status_code == 200
        for changed in (url.replace(theirs, mine), re.sub(r"\?.*", "", url), url[:-4] + "AAAA"):
            assert (await ana.http.get(changed)).status_code in (400, 401, 403, 404), changed
        own = await core.objects.signed_url(f"{mine}/pictures/{'0' * 64}", expires_s=60)
        query = own.partition("?")[2]
        assert (await ana.http.get(f"{url.partition('?')[0]}?{query}")).status_code in (400, 401, 403, 404)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_share_ends_when_it_is_revoked(installation: Any, ana: Any, seed: Seed) -> None:
    body = {
        "username": "cy", "email": "cy@lab.test", "password": PASSWORD, "firstName": "Cy", "lastName": "Oz",
    }  # fmt: skip
    await ana.ok("POST", "/users", body)
    cy = await installation.sign_in("cy")
    run = seed.by_segment["cv-predictions"]
    share = await ana.ok(
        "POST", "/shares", {"assetType": "CV_PREDICTION", "assetId": run, "recipientEmail": "cy@lab.test"}
    )
    album = seed.ids["album_id"]
    opened = [
        f"/cv-predictions/{run}", f"/albums/{album}", f"/albums/{album}/pictures", f"/albums/{album}/tags",
        f"/albums/{album}/export", f"/cv-models/{seed.ids['model_id']}",
    ]  # fmt: skip
    query = f"?shared_resource_id={share['id']}"
    for path in opened:
        assert (await cy.send("GET", path)).status_code == 403, path
        answer = await cy.send("GET", path + query)
        assert answer.status_code == 200, f"{path}: {answer.text}"
    assert (await cy.send("PUT", f"/albums/{album}{query}", json={"name": "mine"})).status_code == 403
    await ana.ok("DELETE", f"/shares/{share['id']}")
    for path in opened:
        assert (await cy.send("GET", path + query)).status_code == 403, path


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_who_may_only_look_changes_nothing(installation: Any, ana: Any, seed: Seed) -> None:
    """In their own organisation: every route that is no GET refuses a viewer, and a token for reading."""
    body = {"username": "vi", "email": "vi@lab.test", "password": PASSWORD, "firstName": "V", "lastName": "I"}
    user = (await ana.ok("POST", "/users", body))["id"]
    await ana.ok("PUT", f"/v1/users/{user}/role", {"role": "viewer"})
    viewer = await installation.sign_in("vi")
    reading = type(ana)(ana.http, (await ana.ok("POST", "/v1/tokens", {"name": "r", "scopes": ["read"]}))["token"])
    organisation = installation.baile.core.tokens.read(ana.token).organisation
    before = await rows_of(installation, organisation)
    own = ("/me/", "/v1/tokens", "/v1/session", "/v1/webhooks", "/v1/notifications", "/signout")
    open_to_all = ("/signin", "/signup", "/emailconfirmation", "/v1/bootstrap")
    tried = 0
    for method, path in routes(installation):
        if method == "GET" or path.startswith(open_to_all) or path.endswith(("/download", "/data")):
            continue
        for api in (viewer, reading):
            if path.startswith(own):
                continue
            target, given, _ = next(aimed(seed, method, path))
            answer = await api.send(method, target, **options(target, given, method))
            # About users the use cases say it themselves, once they know what is wanted.
            refused = (400, 401, 403) if "/users" in path else (401, 403)
            assert answer.status_code in refused, f"{method} {target}: {answer.status_code} {answer.text[:200]}"
            tried += 1
    after = await rows_of(installation, organisation)
    del before["access_tokens"], after["access_tokens"]  # they know when they were used
    assert tried > 60 and after == before
