"""Pictures: uploads and everything that can be wrong with them, tags, filters, sorting, URLs."""

import re
import struct
import zlib
from typing import Any

import pytest

from studio9_baile.usecases import pictures

PICTURE = {"id", "albumId", "filepath", "filename", "filesize", "tags", "predictedTags"}


@pytest.fixture
async def album(ana: Any) -> str:
    return str((await ana.ok("POST", "/albums", {"name": "Ships", "labelMode": "LOCALIZATION"}))["id"])


def box(label: str, left: float, top: float, width: float, height: float) -> dict[str, Any]:
    return {"label": label, "area": {"top": top, "left": left, "height": height, "width": width}}


@pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF"])
async def test_a_picture_has_exactly_the_contracts_fields(ana: Any, album: str, png: Any, form: str) -> None:
    content = png(form=form)
    made = await ana.upload(album, "img_001", content)
    assert set(made) == PICTURE
    assert (made["filename"], made["filesize"], made["tags"]) == ("img_001", len(content), [])
    assert await ana.ok("GET", f"/albums/{album}/pictures/{made['id']}") == made
    fetched = await ana.http.get(made["filepath"])
    assert fetched.status_code == 200 and fetched.content == content
    assert fetched.headers["content-type"] == f"image/{form.lower()}"
    assert (await ana.http.get(made["filepath"][:-2] + "xx")).status_code == 403


async def test_the_name_comes_from_the_field_or_from_the_file(ana: Any, album: str, png: Any) -> None:
    files = {"file": ("a b.c.png", png(), "image/png")}
    made = await ana.ok("POST", f"/albums/{album}/uploadPicture", files=files)
    assert made["filename"] == "a b.c"


def bomb(width: int, height: int) -> bytes:
    """A PNG that promises many pixels and is small."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress(b"\0" * 1000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


BAD = {
    "not a picture": (b"just some text", 409, "Picture format unsupported"),
    "another format": (b"BM" + b"\0" * 100, 409, "Picture format unsupported"),
    "a script in disguise": (b"\x89PNG\r\n\x1a\n<script>", 400, "Picture is damaged"),
    "many pixels": (bomb(30_000, 30_000), 413, "Picture is too large"),
    "fewer bytes than pixels": (bomb(500, 500), 400, "Picture is damaged"),
    "empty": (b"", 400, "Upload is empty"),
}


@pytest.mark.parametrize("case", BAD)
async def test_bad_pictures_are_refused_and_leave_nothing(ana: Any, album: str, installation: Any, case: str) -> None:
    content, status, words = BAD[case]
    files = {"file": ("x.png", content, "image/png")}
    error = await ana.refused(status, "POST", f"/albums/{album}/uploadPicture", files=files, data={"filename": "x"})
    assert error["message"].startswith(words) and error["errors"][0]["field"] == "file" and error["errors"][0]["fix"]
    assert (await ana.ok("GET", f"/albums/{album}/pictures"))["count"] == 0
    assert [one.key async for one in installation.objects.list("")] == []
    assert list((installation.settings.work_dir / "uploads").glob("*")) == []


@pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF"])
async def test_truncated_pictures_are_refused(ana: Any, album: str, png: Any, form: str) -> None:
    whole = png(200, 200, form=form)
    files = {"file": ("x", whole[: len(whole) * 2 // 3], "image/png")}
    error = await ana.refused(400, "POST", f"/albums/{album}/uploadPicture", files=files, data={"filename": "x"})
    assert error["message"].startswith("Picture is damaged")


@pytest.mark.parametrize("name", ["../../etc/passwd", "a/b", "a\\b", "..", "\u202egnp.x", "x" * 256, "a\nb"])
async def test_file_names_are_never_paths(ana: Any, album: str, png: Any, name: str) -> None:
    files = {"file": ("x.png", png(), "image/png")}
    error = await ana.refused(400, "POST", f"/albums/{album}/uploadPicture", files=files, data={"filename": name})
    assert error["errors"][0]["field"] == "filename" and error["errors"][0]["fix"]


async def test_uploads_that_are_no_upload(ana: Any, album: str, installation: Any, png: Any) -> None:
    path = f"/albums/{album}/uploadPicture"
    await ana.refused(400, "POST", path, {"file": "text"})
    await ana.refused(400, "POST", path, files={"other": ("x", png(), "image/png")})
    await ana.refused(400, "POST", path, content=b"--x\r\n", headers={"Content-Type": "multipart/form-data"})
    large = b"\0" * (installation.settings.max_picture + 100_000)
    await ana.refused(413, "POST", path, files={"file": ("x", large, "image/png")})
    assert (await ana.ok("GET", f"/albums/{album}/pictures"))["count"] == 0


async def test_tags_come_back_as_they_were_given_and_a_caption_survives(ana: Any, album: str, png: Any) -> None:
    picture = await ana.upload(album, "p", png(64, 48))
    path = f"/albums/{album}/pictures/{picture['id']}"
    tags = [box("ship", 1, 2, 30, 20), box("buoy", 0, 0, 64, 48)]
    captioned = await ana.ok("PUT", path, {"caption": "at dawn", "tags": tags})
    assert captioned["tags"] == tags and captioned["caption"] == "at dawn"
    again = await ana.ok("PUT", path, {"tags": tags[:1]})
    assert again["tags"] == tags[:1] and again["caption"] == "at dawn"
    assert (await ana.ok("PUT", path, {"tags": []}))["tags"] == []


async def test_every_change_of_labels_is_a_revision(ana: Any, album: str, png: Any, installation: Any) -> None:
    picture = await ana.upload(album, "p", png())
    for size in (5, 6):
        await ana.ok("PUT", f"/albums/{album}/pictures/{picture['id']}", {"tags": [box("ship", 0, 0, size, size)]})
    database = installation.baile.core.database
    me = await ana.ok("GET", "/me")
    async with database.system() as system:
        user = await system.user_named("ana")
    async with database.read(user.organisation) as work:
        revisions = await work.revisions.all()
        row = await work.pictures.get(picture["id"])
    assert [(one.number, one.shapes[0]["width"], one.author) for one in revisions] == [
        (1, 5.0, me["id"]),
        (2, 6.0, me["id"]),
    ]
    assert row.label_revision == revisions[1].id


@pytest.mark.parametrize(
    ("tag", "field"),
    [
        ({"label": "ship"}, "tags.0.area"),
        (box("", 0, 0, 5, 5), "tags.0.label"),
        (box("x" * 501, 0, 0, 5, 5), "tags.0.label"),
        (box("ship", 0, 0, 65, 5), "tags.0.area"),
        (box("ship", -1, 0, 5, 5), "tags.0.area"),
        (box("ship", 0, 44, 5, 5), "tags.0.area"),
        (box("ship", 0, 0, 0, 5), "tags.0.area"),
        ({"label": "ship", "area": {"top": 1}}, "tags.0.area.left"),
        ({"area": {}}, "tags.0.label"),
    ],
)
async def test_bad_tags_name_the_tag_and_the_fix(ana: Any, album: str, png: Any, tag: Any, field: str) -> None:
    picture = await ana.upload(album, "p", png(64, 48))
    error = await ana.refused(400, "PUT", f"/albums/{album}/pictures/{picture['id']}", {"tags": [tag]})
    assert error["errors"][0]["field"] == field and error["errors"][0]["fix"]
    assert (await ana.ok("GET", f"/albums/{album}/tags")) == [{"label": "", "count": 1}]


@pytest.mark.parametrize(
    ("text", "field", "value"),
    [
        ('{"top": 0, "left": 0, "height": 5, "width": 1e-300}', "tags.0.area", "width 1e-300"),
        ('{"top": true, "left": 0, "height": 5, "width": 5}', "tags.0.area.top", "true"),
        ('{"top": "1", "left": 0, "height": 5, "width": 5}', "tags.0.area.top", "1"),
        ('{"top": 0, "left": 0, "height": NaN, "width": 5}', "tags.0.area.height", "NaN"),
        ('{"top": 0, "left": 0, "height": 5, "width": Infinity}', "tags.0.area.width", "Infinity"),
        ('{"top": 0, "left": 0, "height": 5, "width": 1e999}', "tags.0.area.width", "Infinity"),
    ],
)
async def test_coordinates_are_numbers_and_boxes_can_be_seen(
    ana: Any, album: str, png: Any, text: str, field: str, value: str
) -> None:
    picture = await ana.upload(album, "p", png(64, 48))
    content = f'{{"tags": [{{"label": "ship", "area": {text}}}]}}'
    headers = {"Content-Type": "application/json"}
    error = await ana.refused(400, "PUT", f"/albums/{album}/pictures/{picture['id']}", content=content, headers=headers)
    (entry,) = error["errors"]
    assert entry["field"] == field and value in entry["value"] and entry["fix"]
    assert field in error["message"] and value in error["message"]


async def test_a_page_that_carries_too_much_is_refused_with_a_size_that_will_do(
    ana: Any, album: str, png: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        picture = await ana.upload(album, f"p{number}", png(64, 48, colour=(number, 0, 0)))
        body = {"tags": [box("ship", 0, 0, 5, 5)] * 3}
        await ana.ok("PUT", f"/albums/{album}/pictures/{picture['id']}", body)
    monkeypatch.setattr(pictures, "MOST_ON_PAGE", 6)
    monkeypatch.setattr(pictures, "LABELS_AT_ONCE", 3)
    error = await ana.refused(413, "GET", f"/albums/{album}/pictures?page_size=4")
    assert error["errors"] == [{"field": "page_size", "value": "4", "fix": "ask for at most 2 pictures at a time"}]
    page = await ana.ok("GET", f"/albums/{album}/pictures?page_size=2&page=2&order=fileName")
    assert [one["filename"] for one in page["data"]] == ["p2", "p3"] and page["count"] == 4
    assert [len(one["tags"]) for one in page["data"]] == [3, 3]


async def test_classification_tags_have_no_area(ana: Any, png: Any) -> None:
    made = await ana.ok("POST", "/albums", {"name": "Kinds", "labelMode": "CLASSIFICATION"})
    picture = await ana.upload(made["id"], "p", png())
    sent = {"tags": [box("ship", 0, 0, 50, 50)]}
    assert (await ana.ok("PUT", f"/albums/{made['id']}/pictures/{picture['id']}", sent))["tags"] == [{"label": "ship"}]


async def test_filters_search_sorting_and_counts(ana: Any, album: str, png: Any) -> None:
    tags = {"b.1": ["ship", "ship"], "a": ["buoy"], "c": []}
    for number, (name, labels) in enumerate(tags.items()):
        picture = await ana.upload(album, name, png(colour=(number, 0, 0)))
        body = {"tags": [box(label, 0, 0, 5, 5) for label in labels]}
        await ana.ok("PUT", f"/albums/{album}/pictures/{picture['id']}", body)

    async def names(query: str) -> list[str]:
        listed = await ana.ok("GET", f"/albums/{album}/pictures?{query}")
        assert listed["count"] == len(listed["data"])
        return [one["filename"] for one in listed["data"]]

    assert await names("order=fileName") == ["a", "b.1", "c"]
    assert await names("order=-fileName&labels=ship,buoy") == ["b.1", "a"]
    assert await names("labels=") == ["c"]
    assert await names("labels=ship,&order=fileName") == ["b.1", "c"]
    assert await names("labels=nothing") == []
    assert await names("search=.&order=fileName") == ["b.1"]
    assert await names("search=&page=1&page_size=20&order=tags.label") == ["a", "b.1", "c"]
    for order in ("fileSize", "caption", "predictedCaption", "predictedTags.label", "-predictedTags.confidence"):
        assert len(await names(f"order={order}")) == 3
    assert await names("augmentations=") == ["b.1", "a", "c"]
    assert await names("augmentations=ROTATION") == []
    await ana.refused(400, "GET", f"/albums/{album}/pictures?augmentations=SPINNING")
    await ana.refused(400, "GET", f"/albums/{album}/pictures?order=filename")
    counts = await ana.ok("GET", f"/albums/{album}/tags")
    assert {one["label"]: one["count"] for one in counts} == {"ship": 2, "buoy": 1, "": 1}


async def test_a_pictures_url_stays_the_same(ana: Any, album: str, png: Any) -> None:
    made = await ana.upload(album, "p", png())
    again = await ana.ok("GET", f"/albums/{album}/pictures/{made['id']}")
    assert again["filepath"] == made["filepath"] and re.match(r"https?://", made["filepath"])


async def test_a_deleted_picture(ana: Any, album: str, png: Any) -> None:
    made = await ana.upload(album, "p", png())
    assert await ana.ok("DELETE", f"/albums/{album}/pictures/{made['id']}") == {"id": made["id"]}
    error = await ana.refused(404, "GET", f"/albums/{album}/pictures/{made['id']}")
    assert error["message"] == "Picture not found"
