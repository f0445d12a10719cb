"""Labels as CSV, in both modes: what is used, what is skipped and why, and the way out again."""

import json
from typing import Any

import pytest

from studio9_baile.usecases import label_csv


@pytest.fixture
async def boxes(ana: Any, png: Any) -> str:
    made = await ana.ok("POST", "/albums", {"name": "Ships", "labelMode": "LOCALIZATION"})
    for number, name in enumerate(("img_001", "img_002")):
        await ana.upload(made["id"], name, png(100, 80, colour=(number, 0, 0)))
    return str(made["id"])


async def send(api: Any, album: str, csv: str | bytes, status: int = 200) -> Any:
    content = csv.encode() if isinstance(csv, str) else csv
    files = {"file": ("labels.csv", content, "text/csv")}
    response = await api.send("POST", f"/albums/{album}/uploadLabels", files=files)
    assert response.status_code == status, response.text
    return response


async def tags(api: Any, album: str) -> dict[str, list[Any]]:
    listed = await api.ok("GET", f"/albums/{album}/pictures?order=fileName")
    return {one["filename"]: one["tags"] for one in listed["data"]}


async def test_boxes_replace_what_was_there_and_a_header_is_known(ana: Any, boxes: str) -> None:
    await send(ana, boxes, "img_001,old,0,0,5,5\n")
    answer = await send(
        ana, boxes, "filename,label,x-min,y-min,x-max,y-max\nimg_001,ship,20,10,80,50\nimg_001,buoy,0,0,100,80\n"
    )
    assert answer.json()["id"] == boxes
    report = json.loads(answer.headers["Studio9-Label-Report"])
    assert report == {"rows": 2, "used": 2, "header": True, "pictures": 1, "skipped": 0, "skippedRows": []}
    assert (await tags(ana, boxes))["img_001"] == [
        {"label": "ship", "area": {"left": 20, "top": 10, "width": 60, "height": 40}},
        {"label": "buoy", "area": {"left": 0, "top": 0, "width": 100, "height": 80}},
    ]


async def test_every_skipped_row_is_named_with_its_reason(ana: Any, boxes: str) -> None:
    rows = [
        "img_001,ship,20,10,80,50",
        "img_001,ship,20,10,80",
        "img_002,,0,0,5,5",
        "img_009,ship,0,0,5,5",
        "img_002,ship,a,b,c,d",
        "img_002,ship,0,0,101,5",
        "img_002,ship,9,9,9,9",
        "",
        "img_002,ship,nan,0,5,5",
        ",ship,0,0,5,5",
    ]
    report = json.loads((await send(ana, boxes, "\n".join(rows))).headers["Studio9-Label-Report"])
    assert (report["rows"], report["used"], report["skipped"], report["header"]) == (9, 1, 8, False)
    reasons = {one["line"]: one["reason"] for one in report["skippedRows"]}
    for line, words in (
        (2, "5 columns"), (3, "label is empty"), (4, "no picture named 'img_009'"), (5, "x-min is 'a'; write"),
        (6, "leaves the picture of 100 x 80"), (7, "empty"), (9, "x-min is 'nan'; write"), (10, "file name is empty"),
    ):  # fmt: skip
        assert words in reasons[line]
    assert (await tags(ana, boxes))["img_002"] == []
    kept = await ana.ok("GET", f"/v1/albums/{boxes}/label-report")
    assert kept["skipped"] == 8 and len(kept["skippedRows"]) == 8


async def test_the_order_of_rows_does_not_matter(ana: Any, boxes: str) -> None:
    await send(ana, boxes, "img_001,a,0,0,5,5\nimg_002,b,0,0,5,5\nimg_001,c,0,0,6,6\n")
    assert [one["label"] for one in (await tags(ana, boxes))["img_001"]] == ["a", "c"]


async def test_classification(ana: Any, png: Any) -> None:
    made = await ana.ok("POST", "/albums", {"name": "Kinds", "labelMode": "CLASSIFICATION"})
    await ana.upload(made["id"], "img_001", png())
    csv = '\ufefffilename,label\nimg_001,"ship, large",some,meta\n'
    report = json.loads((await send(ana, made["id"], csv)).headers["Studio9-Label-Report"])
    assert (report["used"], report["header"]) == (1, True)
    assert (await tags(ana, made["id"]))["img_001"] == [{"label": "ship, large"}]
    exported = await ana.send("GET", f"/albums/{made['id']}/export")
    assert exported.text == 'filename,label\nimg_001,"ship, large"\n'


@pytest.mark.parametrize("content", [b"\xff\xfe\x00bad", b'img_001,"ship\n', b""])
async def test_files_that_are_no_csv_change_nothing(ana: Any, boxes: str, content: bytes) -> None:
    await send(ana, boxes, "img_001,ship,0,0,5,5\n")
    error = (await send(ana, boxes, content, 400)).json()
    assert error["errors"][0]["field"] == "file" and error["errors"][0]["fix"]
    assert len((await tags(ana, boxes))["img_001"]) == 1


async def test_what_is_exported_can_be_brought_in_again(ana: Any, boxes: str) -> None:
    await send(ana, boxes, "img_001,ship,20,10,80,50\nimg_001,buoy,0,0,100,80\n")
    exported = await ana.http.get(f"/v2.0/albums/{boxes}/export?access_token={ana.token}")
    assert exported.headers["content-type"].startswith("text/csv")
    assert exported.headers["content-disposition"] == f'attachment; filename="album-{boxes}.csv"'
    assert exported.text.splitlines() == [
        "filename,label,x-min,y-min,x-max,y-max",
        "img_001,ship,20,10,80,50",
        "img_001,buoy,0,0,100,80",
        "img_002,,,,,",
    ]
    before = await tags(ana, boxes)
    await send(ana, boxes, exported.text)
    assert await tags(ana, boxes) == before
    assert (await ana.http.get(f"/v2.0/albums/{boxes}?access_token={ana.token}")).status_code == 401


async def test_a_header_after_empty_lines_and_the_order_of_the_report(ana: Any, boxes: str) -> None:
    rows = "\n\nfilename,label,x-min,y-min,x-max,y-max\nimg_009,ship,0,0,5,5\nimg_001,ship\nimg\x00_001,ship,0,0,5,5\n"
    report = json.loads((await send(ana, boxes, rows)).headers["Studio9-Label-Report"])
    assert report["header"] and [one["line"] for one in report["skippedRows"]] == [4, 5, 6]
    assert "NUL" in report["skippedRows"][2]["reason"]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("img_001,ship,1_0,0,20,20", "x-min is '1_0'; write a finite number"),
        ("img_001,ship,0,\u0661\u0662,20,20", "y-min is '\u0661\u0662'; write a finite number"),
        ("img_001,ship,0,0,Infinity,20", "x-max is 'Infinity'; write a finite number"),
        ("img_001,ship,0,0,20,1e999", "y-max is '1e999'; write a finite number"),
        ("img_001,ship,0,0,0x10,20", "x-max is '0x10'; write a finite number"),
        (
            "img_001,ship,0,0,1e-300,20",
            "a box of 1e-300 x 20 pixels is too small; give a width and a height",
        ),
    ],
)
async def test_numbers_are_plain_and_boxes_can_be_seen(ana: Any, boxes: str, row: str, words: str) -> None:
    report = json.loads((await send(ana, boxes, row)).headers["Studio9-Label-Report"])
    assert (report["rows"], report["used"]) == (1, 0)
    assert report["skippedRows"][0]["reason"].startswith(words)


async def test_numbers_in_every_plain_form_are_read(ana: Any, boxes: str) -> None:
    await send(ana, boxes, "img_001,ship,+1, 2.0 ,.3e2,4.e1\n")
    assert (await tags(ana, boxes))["img_001"][0]["area"] == {"left": 1, "top": 2, "width": 29, "height": 38}


async def test_rows_above_the_limit_of_a_picture_are_skipped(
    ana: Any, boxes: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(label_csv, "MOST", 2)
    rows = "".join(f"img_00{1 + n % 2},ship,{n},0,50,50\n" for n in range(5))
    report = json.loads((await send(ana, boxes, rows)).headers["Studio9-Label-Report"])
    assert (report["used"], report["skipped"]) == (4, 1)
    assert report["skippedRows"] == [
        {"line": 5, "reason": "'img_001' has 2 labels already; give a picture at most so many"}
    ]
    assert {name: len(found) for name, found in (await tags(ana, boxes)).items()} == {"img_001": 2, "img_002": 2}
