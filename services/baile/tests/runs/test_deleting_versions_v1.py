"""`/v1`: dataset versions are deleted when nothing works on them; tiles count as long as a version holds them."""

import asyncio
import hashlib
from typing import Any

from studio9_common.contracts.messages import JobFailed
from studio9_common.contracts.reasons import reason

from .test_quotas import usage
from .test_sweeping import organisation, sweep, there
from .test_tiling_v1 import BODY, complete

__all__ = ["organisation", "sweep", "there"]
VERSIONS = "/v1/dataset-versions"


async def test_tiles_count_once_and_go_with_the_last_version_that_holds_them(
    ana: Any, bo: Any, workers: Any, installation: Any, albums: dict[str, str], png: Any, until: Any, sweep: Any,
    there: Any, organisation: str,
) -> None:  # fmt: skip
    original = (await ana.ok("POST", VERSIONS, {"albums": {"train": albums["train"], "test": albums["test"]}}))["id"]
    _, before = await usage(installation, ana)
    contents = [png(48, 48, (number, 7, 7)) for number in range(6)]
    sizes = [len(content) for content in contents]
    keys = [f"pictures/{hashlib.sha256(content).hexdigest()}" for content in contents]

    async def cut(first: int) -> str:
        """A version of the four tiles from this one on."""
        made = await ana.ok("POST", f"{VERSIONS}/{original}/tile", BODY)
        request = await workers.take()
        refused = await ana.send("DELETE", f"{VERSIONS}/{original}")
        assert refused.status_code == 409 and refused.json()["type"].endswith("dataset_version_in_use"), refused.text
        assert made["job"] in refused.json()["detail"] and "cancel" in refused.json()["fix"], refused.text
        assert (await ana.send("DELETE", f"{VERSIONS}/{made['dataset_version']}")).status_code == 404
        await complete(workers, installation, request, png, first=first)

        async def done() -> bool:
            return bool((await ana.ok("GET", f"/v1/jobs/{made['job']}"))["status"] == "COMPLETED")

        await until(done)
        return str(made["dataset_version"])

    async def used() -> int:
        return (await usage(installation, ana))[1] - before

    one = await cut(0)
    assert await used() == sum(sizes[:4])
    two = await cut(2)
    assert await used() == sum(sizes), "what both hold counts once"
    await sweep(2)
    async with installation.baile.core.database.read(organisation) as work:
        assert await work.orphans.all() == [], "tiles are known to be named without a look at manifests"

    model = (await ana.ok("POST", "/v1/models", {"name": "On tiles"}))["id"]
    training = {"dataset_version_id": one, "config": {"architecture": "YOLO11N", "head": "YOLO_HEAD"}}
    begun = await ana.ok("POST", f"/v1/models/{model}/train", training)
    refused = await ana.send("DELETE", f"{VERSIONS}/{one}")
    assert refused.status_code == 409 and f"{begun['training_session']} (train)" in refused.json()["detail"]
    await workers.end(await workers.take(), JobFailed, reason=reason("timeout"))
    shown = f"/v1/models/{model}/versions/{begun['model_version']}"

    async def over() -> bool:
        return bool((await ana.ok("GET", shown))["status"] == "ERROR")

    await until(over)
    trained = await ana.ok("GET", shown)

    assert (await bo.send("DELETE", f"{VERSIONS}/{one}")).status_code == 404
    await ana.ok("DELETE", f"{VERSIONS}/{one}")
    assert await used() == sum(sizes[2:])
    for method in ("GET", "DELETE"):
        assert (await ana.send(method, f"{VERSIONS}/{one}")).status_code == 404
    assert (await ana.send("POST", f"{VERSIONS}/{one}/tile", json=BODY)).status_code == 404
    assert (await ana.send("POST", f"/v1/models/{model}/train", json=training)).status_code == 400
    assert [row["id"] for row in (await ana.ok("GET", VERSIONS))["items"]] == [two, original]
    assert await ana.ok("GET", shown) == trained and trained["dataset_version"] == one
    assert {"DATASET_VERSION"} <= {edge["kind"] for edge in trained["made_from"]}
    await sweep(2)
    assert [await there(key) for key in keys] == [False, False, True, True, True, True]
    assert not await there(f"datasets/{one}/train.jsonl") and await there(f"datasets/{two}/train.jsonl")

    async with installation.baile.core.database.write(organisation) as work:  # as if it had been made before 0017
        (await work.dataset_versions.get(two)).listed = False
        await work.dataset_objects.forget(two)
        work.tallies.tiles(-sum(sizes[2:]))
        await work.dataset_objects.note("nobody's", {hashlib.sha256(contents[0]).hexdigest(): sizes[0]})
    await installation.objects.put(f"{organisation}/{keys[0]}", contents[0])
    await sweep(2)
    assert await used() == sum(sizes[2:]) and await there(keys[5])
    assert not await there(keys[0]), "it was noted for a version that never came"

    three = await cut(2)
    assert await used() == sum(sizes[2:])
    await asyncio.gather(*(ana.ok("DELETE", f"{VERSIONS}/{version}") for version in (two, three, original)))
    assert await used() == 0, "who goes at the same moment is counted after the other"
    await sweep(2)
    assert [await there(key) for key in keys] == [False] * 6
    assert (await ana.ok("GET", "/v1/audit?limit=1"))["items"][0]["action"] == "deleted"


async def test_versions_of_a_user_who_goes(ana: Any, installation: Any, png: Any, organisation: str) -> None:
    me = (await ana.ok("GET", "/me"))["id"]
    for name, heir in (("cy", me), ("di", None)):
        body = {
            "username": name, "email": f"{name}@lab.test", "password": "Correct-horse-9", "firstName": "C",
            "lastName": "Y",
        }  # fmt: skip
        user = (await ana.ok("POST", "/users", body))["id"]
        await ana.ok("PUT", f"/v1/users/{user}/role", {"role": "editor"})
        theirs = await installation.sign_in(name)
        album = (await theirs.ok("POST", "/albums", {"name": "a", "labelMode": "LOCALIZATION"}))["id"]
        await theirs.upload(album, "p", png())
        version = (await theirs.ok("POST", VERSIONS, {"albums": {"train": album}}))["id"]
        await theirs.ok("DELETE", f"/albums/{album}")
        assert (await ana.send("DELETE", f"{VERSIONS}/{version}")).status_code == 403
        await ana.ok("DELETE", f"/users/{user}" + (f"?transferOwnershipTo={heir}" if heir else ""))
        answer = await ana.send("DELETE", f"{VERSIONS}/{version}")
        assert answer.status_code == (204 if heir else 404), "they go to the heir, or with the user"
    async with installation.baile.core.database.read(organisation) as work:
        assert await work.manifests.all() == []
