"""Quotas: what comes in over them is refused, with the limit, what is used, and what to do; nothing is half-written."""

import hashlib
import json
from typing import Any

import pytest

from studio9_common.objects.port import ObjectMissing

from ..test_transfers import BUCKET, over, s3, server
from .test_augmenting import BODY

__all__ = ["s3", "server"]


def organisation_of(installation: Any, api: Any) -> str:
    return str(installation.baile.core.tokens.read(api.token).organisation)


async def limit(installation: Any, api: Any, *, whose: str | None = None, **quotas: int) -> Any:
    """Starts again with a quota as Argo has told it before; the user, signed in."""
    scope, owner = ("organisation", organisation_of(installation, api)) if whose is None else (whose, "system")
    entry = {
        "scope": scope, "organisation": owner, "service": "baile", "key": "quotas", "version": 1, "value": quotas,
        "updated_at": "", "updated_by": "",
    }  # fmt: skip
    await installation.stop()
    (installation.folder / "configuration.json").write_text(json.dumps([entry]))
    await installation.start()
    return installation.signed_in("ana")


async def usage(installation: Any, api: Any) -> tuple[int, int]:
    async with installation.baile.core.database.read(organisation_of(installation, api)) as work:
        found = await work.tallies.usage()
    return found.pictures, found.bytes


async def picture(api: Any, album: str, name: str, content: bytes) -> Any:
    files = {"file": (f"{name}.png", content, "image/png")}
    return await api.send("POST", f"/albums/{album}/uploadPicture", files=files, data={"filename": name})


async def test_pictures_over_the_quota_are_refused(ana: Any, installation: Any, albums: Any, png: Any) -> None:
    ana = await limit(installation, ana, pictures=7)
    await ana.upload(albums["plain"], "last", png(colour=(1, 1, 1)))
    content = png(colour=(2, 2, 2))
    refused = await picture(ana, albums["plain"], "more", content)
    assert refused.status_code == 409, refused.text
    said = refused.json()["message"]
    assert said.startswith("Your organisation may keep 7 pictures; it has 7, and this would bring 1 more")
    assert refused.json()["errors"] == [
        {"field": "quotas.pictures", "value": "7", "fix": refused.json()["errors"][0]["fix"]}
    ]
    with pytest.raises(ObjectMissing):
        name = hashlib.sha256(content).hexdigest()
        await installation.objects.head(f"{organisation_of(installation, ana)}/pictures/{name}")
    organisation = organisation_of(installation, ana)
    await installation.objects.put(f"{organisation}/incoming/one.png", content, content_type="image/png")
    one = {"filepath": "incoming/one.png", "filename": "one"}
    path = f"/albums/{albums['plain']}/pictures"
    await ana.refused(409, "PUT", path, {"pictureMetaList": [one], "keepExisting": True})
    assert (await ana.ok("GET", path))["count"] == 3
    await ana.refused(409, "POST", f"/albums/{albums['train']}/augment", BODY)
    merge = {"name": "m", "labelMode": "LOCALIZATION", "copyPicturesFrom": [albums["train"], albums["test"]]}
    await ana.refused(409, "POST", "/albums", merge)
    await ana.refused(409, "POST", f"/albums/{albums['train']}/copy", {"name": "c"})
    await ana.refused(
        409, "POST", f"{path.removesuffix('/pictures')}/importPicturesFromS3", {**BUCKET, "S3ImagesPath": ""}
    )
    video = {**BUCKET, "S3VideoPath": "a.mp4"}
    await ana.refused(409, "POST", f"/albums/{albums['empty']}/importVideoFromS3", video)
    assert (await ana.ok("GET", "/albums"))["count"] == 4
    assert (await ana.ok("GET", "/processes?page=1&page_size=10"))["count"] == 0
    await ana.ok("PUT", path, {"pictureMetaList": [one], "keepExisting": False})
    assert (await usage(installation, ana))[0] == 5, "what is replaced makes room"


async def test_bytes_over_the_quota_are_refused(ana: Any, bo: Any, installation: Any, png: Any) -> None:
    album = (await ana.ok("POST", "/albums", {"name": "Ships", "labelMode": "CLASSIFICATION"}))["id"]
    first, second = png(colour=(1, 1, 1)), png(colour=(2, 2, 2))
    await ana.upload(album, "first", first)
    assert await usage(installation, ana) == (1, len(first))
    ana = await limit(installation, ana, whose="installation", bytes=len(first) + len(second) - 1 + 10)
    made = await ana.ok("POST", "/datasets", {"name": "Notes"})
    path = f"/datasets/{made['id']}/files"
    await ana.ok("POST", path, files={"file": ("a.txt", b"x" * 10, "text/plain")})
    assert await usage(installation, ana) == (1, len(first) + 10)
    refused = await picture(ana, album, "second", second)
    assert refused.status_code == 409 and refused.json()["errors"][0]["field"] == "quotas.bytes", refused.text
    files = {"file": ("b.txt", b"x" * len(second), "text/plain")}
    assert (await ana.send("POST", path, files=files)).status_code == 409
    assert [one["filename"] for one in (await ana.ok("GET", f"/datasets/{made['id']}/ls"))["data"]] == ["a.txt"]
    bo = installation.signed_in("bo")
    theirs = (await bo.ok("POST", "/albums", {"name": "Ships", "labelMode": "CLASSIFICATION"}))["id"]
    await bo.upload(theirs, "second", second)
    assert await usage(installation, bo) == (1, len(second)), "each organisation has its own"
    await ana.ok("DELETE", f"/datasets/{made['id']}")
    await ana.upload(album, "second", second)
    await ana.ok("DELETE", f"/albums/{album}")
    assert await usage(installation, ana) == (0, 0)


async def test_an_import_ends_where_the_quota_is_reached(
    ana: Any, installation: Any, s3: Any, png: Any, until: Any
) -> None:
    album = (await ana.ok("POST", "/albums", {"name": "Ships", "labelMode": "CLASSIFICATION"}))["id"]
    for number in range(25):
        s3.put_object(Bucket="harbour", Key=f"ships/{number:02}.png", Body=png(30, 20, (number, 0, 0)))
    ana = await limit(installation, ana, pictures=22)
    form = {**BUCKET, "S3ImagesPath": "ships/", "applyLogTransformation": "true"}
    started = await ana.send("POST", f"/albums/{album}/importPicturesFromS3", json=form)
    assert started.status_code == 202, started.text
    process = await over(ana, until, f"/albums/{album}")
    assert process["status"] == "FAILED" and "may keep 22 pictures; it has 20" in process["cause"], process
    assert (await ana.ok("GET", f"/albums/{album}"))["status"] == "ACTIVE"
    assert (await ana.ok("GET", f"/albums/{album}/pictures?page_size=100"))["count"] == 20


async def test_tiles_need_room_for_as_many_bytes_again(ana: Any, installation: Any, albums: Any) -> None:
    version = await ana.ok("POST", "/v1/dataset-versions", {"albums": {"train": albums["train"]}})
    _, used = await usage(installation, ana)
    ana = await limit(installation, ana, bytes=used + 1)
    refused = await ana.send("POST", f"/v1/dataset-versions/{version['id']}/tile", json={})
    assert refused.status_code == 409 and refused.json()["field"] == "quotas.bytes", refused.text
