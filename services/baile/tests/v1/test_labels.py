"""Shapes of every kind, written and read as label revisions."""

import asyncio
from typing import Any

import pytest

BOX = {"kind": "box", "label": "ship", "left": 1, "top": 2, "width": 9.5, "height": 8}
SHAPES: list[dict[str, Any]] = [
    BOX,
    {"kind": "rotated_box", "label": "ship", "centre_x": 4, "centre_y": 20, "width": 20, "height": 4, "angle": 30},
    {"kind": "polygon", "label": "quay", "points": [[10, 10], [40.5, 12], [38, 30]], "z": 2, "source": "reviewed"},
    {"kind": "mask", "label": "crane", "left": 5, "top": 6, "width": 3, "height": 4, "counts": [2, 9, 1]},
    {"kind": "keypoints", "label": "man", "ignore": True, "points": [
        {"name": "head", "x": 30, "y": 10}, {"name": "foot", "x": 34, "y": 40, "visibility": 1},
        {"name": "hand", "x": 0, "y": 0, "visibility": 0},
    ]},
    {"kind": "track", "label": "gull", "track": "g1", "boxes": [
        [0, {**BOX, "label": "gull"}], [7, {**BOX, "label": "gull", "left": 3}],
    ]},
]  # fmt: skip


@pytest.fixture
async def picture(ana: Any, png: Any) -> str:
    """The path of a picture of 64 x 48 pixels, without the API."""
    album = (await ana.ok("POST", "/albums", {"name": "Bay", "labelMode": "LOCALIZATION"}))["id"]
    return f"/albums/{album}/pictures/{(await ana.upload(album, 'one', png()))['id']}"


async def test_shapes_come_back_as_they_were_given(ana: Any, picture: str) -> None:
    path = f"/v1{picture}/labels"
    none = await ana.send("GET", path)
    assert none.json() == {"picture": picture.rpartition("/")[2], "width": 64, "height": 48, "shapes": []}
    written = await ana.send("PUT", path, json={"shapes": SHAPES}, headers={"If-Match": none.headers["etag"]})
    assert written.status_code == 200, written.text
    read = await ana.send("GET", path)
    assert read.json() == written.json() and read.headers["etag"] == written.headers["etag"] != none.headers["etag"]
    for given, found in zip(SHAPES, read.json()["shapes"], strict=True):
        assert given.items() <= {**found, **({"points": given["points"]} if "points" in given else {}),
                                 **({"boxes": given["boxes"]} if "boxes" in given else {})}.items()  # fmt: skip
    polygon, keypoints, track = (read.json()["shapes"][number] for number in (2, 4, 5))
    assert polygon["points"] == SHAPES[2]["points"] and [point["x"] for point in keypoints["points"]] == [30, 34, 0]
    assert [(frame, box["left"]) for frame, box in track["boxes"]] == [(0, 1), (7, 3)]
    assert read.json()["revision"]["number"] == 1 and read.json()["revision"]["source"] == "human"


async def test_revisions_are_kept(ana: Any, picture: str) -> None:
    path = f"/v1{picture}/labels"
    for number in range(1, 4):
        await ana.ok("PUT", path, {"shapes": SHAPES[:number]})
    await ana.ok("PUT", picture, {"tags": []})
    first = await ana.ok("GET", f"/v1{picture}/label-revisions?limit=3")
    rest = await ana.ok("GET", f"/v1{picture}/label-revisions?limit=3&cursor={first['next']}")
    found = [*first["items"], *rest["items"]]
    assert [one["number"] for one in found] == [4, 3, 2, 1] and len({one["author"] for one in found}) == 1
    then = await ana.ok("GET", f"/v1{picture}/label-revisions/{found[1]['id']}")
    assert [one["kind"] for one in then["shapes"]] == ["box", "rotated_box", "polygon"]
    assert (await ana.ok("GET", path))["shapes"] == []
    other = await ana.send("GET", f"/v1{picture}/label-revisions/{found[1]['id'][:-4]}aaaa")
    assert other.status_code == 404


async def test_salsa_sees_the_enclosing_boxes_and_gives_the_shapes_back(ana: Any, picture: str) -> None:
    await ana.ok("PUT", f"/v1{picture}/labels", {"shapes": SHAPES})
    tags = (await ana.ok("GET", picture))["tags"]
    places = {(one["label"], *(one["area"][side] for side in ("left", "top", "width", "height"))) for one in tags}
    assert places == {
        ("ship", 1, 2, 9, 8), ("ship", 0, 13, 14, 14), ("quay", 10, 10, 30, 20), ("crane", 5, 6, 3, 4),
        ("man", 30, 10, 4, 30), ("gull", 1, 2, 9, 8),
    }  # fmt: skip
    changed = [{**tag, "label": "pier"} if tag["label"] == "quay" else tag for tag in tags]
    await ana.ok("PUT", picture, {"tags": changed})
    kinds = [(one["label"], one["kind"]) for one in (await ana.ok("GET", f"/v1{picture}/labels"))["shapes"]]
    assert kinds == [
        ("ship", "box"), ("ship", "rotated_box"), ("pier", "box"), ("crane", "mask"), ("man", "keypoints"),
        ("gull", "track"),
    ]  # fmt: skip
    counts = {one["label"]: one["count"] for one in await ana.ok("GET", f"{picture.partition('/pictures')[0]}/tags")}
    assert counts == {"ship": 2, "pier": 1, "crane": 1, "man": 1, "gull": 1}


def wrong(number: int, **changes: Any) -> dict[str, Any]:
    return {**SHAPES[number], **changes}


WRONG: dict[str, tuple[Any, str]] = {
    "no kind": ({"label": "x"}, "shapes.0"),
    "another kind": (wrong(0, kind="circle"), "shapes.0"),
    "no label": (wrong(0, label=""), "shapes.0.label"),
    "a label of spaces": (wrong(0, label="  "), "shapes.0.label"),
    "an unknown field": (wrong(0, colour="red"), "shapes.0.colour"),
    "an unknown field inside": (
        wrong(4, points=[{"name": "a", "x": 1, "y": 1, "seen": True}]), "shapes.0.points.0.seen"),
    "a number as a text": (wrong(0, left="1"), "shapes.0.left"),
    "true as a number": (wrong(0, left=True), "shapes.0.left"),
    "a missing field": ({"kind": "box", "label": "x", "left": 1, "top": 1, "width": 2}, "shapes.0.height"),
    "a tag where places are wanted": ({"kind": "tag", "label": "x"}, "shapes.0.kind"),
    "a z without an end": (wrong(0, z=10**7), "shapes.0.z"),
    "a box outside": (wrong(0, left=60), "shapes.0"),
    "a centre outside": (wrong(1, centre_x=65), "shapes.0.centre_x"),
    "a side without an end": (wrong(1, width=1e9), "shapes.0.width"),
    "an angle without an end": (wrong(1, angle=1e9), "shapes.0.angle"),
    "two points": (wrong(2, points=[[1, 1], [2, 2]]), "shapes.0.points"),
    "a point outside": (wrong(2, points=[[1, 1], [2, 20], [9, 49]]), "shapes.0.points.2"),
    "a line": (wrong(2, points=[[1, 1], [2, 2], [3, 3]]), "shapes.0.points"),
    "runs that do not fill it": (wrong(3, counts=[2, 9]), "shapes.0.counts"),
    "runs of nothing": (wrong(3, counts=[12]), "shapes.0.counts"),
    "an empty run": (wrong(3, counts=[2, 0, 0, 9, 1]), "shapes.0.counts"),
    "a mask outside": (wrong(3, left=62), "shapes.0"),
    "a point twice": (wrong(4, points=[{"name": "a", "x": 1, "y": 1}] * 2), "shapes.0.points.1.name"),
    "no marked point": (wrong(4, points=[{"name": "a", "x": 1, "y": 1, "visibility": 0}]), "shapes.0.points"),
    "frames out of order": (wrong(5, boxes=list(reversed(SHAPES[5]["boxes"]))), "shapes.0.boxes.1.0"),
    "a box of another label": (wrong(5, boxes=[[0, BOX]]), "shapes.0.boxes.0.1.label"),
    "no shape": (5, "shapes.0"),
}  # fmt: skip


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_what_does_not_fit_is_refused_and_changes_nothing(ana: Any, picture: str) -> None:
    path = f"/v1{picture}/labels"
    before = await ana.ok("PUT", path, {"shapes": [BOX]})
    for name, (shape, field) in WRONG.items():
        refused = await ana.send("PUT", path, json={"shapes": [shape]})
        assert refused.status_code == 400, f"{name}: {refused.text}"
        problem = refused.json()
        assert problem["field"] == field and problem["fix"], f"{name}: {problem}"
    for body in ({}, {"shapes": None}, {"shapes": [BOX], "more": 1}, [BOX], {"shapes": [BOX] * 10_001}):
        assert (await ana.send("PUT", path, json=body)).status_code == 400, str(body)[:50]
    many = [wrong(2, points=[[1, 1], [40, 1], *([20, 20] for _ in range(9_000))]) for _ in range(23)]
    refused = await ana.send("PUT", path, json={"shapes": many})
    assert refused.status_code == 400 and refused.json()["field"] == "shapes.22"
    assert await ana.ok("GET", path) == before


async def test_an_album_for_classification_holds_tags_alone(ana: Any, png: Any) -> None:
    album = (await ana.ok("POST", "/albums", {"name": "Bay", "labelMode": "CLASSIFICATION"}))["id"]
    path = f"/v1/albums/{album}/pictures/{(await ana.upload(album, 'one', png()))['id']}/labels"
    assert (await ana.ok("PUT", path, {"shapes": [{"kind": "tag", "label": "x"}]}))["shapes"][0]["kind"] == "tag"
    refused = await ana.send("PUT", path, json={"shapes": [BOX]})
    assert refused.status_code == 400 and refused.json()["field"] == "shapes.0.kind"


async def test_of_two_who_label_the_same_picture_the_second_is_told(ana: Any, picture: str) -> None:
    path = f"/v1{picture}/labels"
    headers = {"If-Match": (await ana.send("GET", path)).headers["etag"]}
    bodies = [{"shapes": [{**BOX, "label": f"l{number}"}]} for number in range(4)]
    answers = await asyncio.gather(*(ana.send("PUT", path, json=body, headers=headers) for body in bodies))
    assert sorted(answer.status_code for answer in answers) == [200, 412, 412, 412], [one.text for one in answers]
    late = next(answer for answer in answers if answer.status_code == 412)
    assert late.json()["detail"].endswith(": labels")
    assert len((await ana.ok("GET", f"/v1{picture}/label-revisions"))["items"]) == 1


async def test_who_may_label_and_who_may_not(ana: Any, bo: Any, picture: str) -> None:
    path = f"/v1{picture}/labels"
    tokens = {}
    for scope in ("read", "label"):
        made = await ana.ok("POST", "/v1/tokens", {"name": scope, "scopes": ["read", scope]})
        tokens[scope] = type(ana)(ana.http, made["token"])
    assert (await tokens["read"].send("PUT", path, json={"shapes": []})).status_code == 403
    assert (await tokens["label"].send("PUT", path, json={"shapes": SHAPES})).status_code == 200
    assert (await bo.send("PUT", path, json={"shapes": []})).status_code == 404
    assert (await bo.send("GET", path)).status_code == 404
