"""The prediction table, row by row."""

import csv
import gzip
import hashlib
import io
import json
from pathlib import Path
from typing import Any

import pytest

from studio9_common.contracts.job import Provenance
from studio9_common.contracts.predictions import COLUMNS, prediction_id
from studio9_task.lines import write_lines
from studio9_task.results import PredictedBox, PredictedPicture
from studio9_worker.lease import AttemptKey
from studio9_worker.outputs import BadOutput
from studio9_worker.predictions import Known, Stamp, write_table

from .conftest import PROVENANCE

SHA = hashlib.sha256(b"x").hexdigest()
KNOWN = {("predict", "p0"): Known(SHA, "snow\x00, man.png", "r7"), ("predict", "p1"): Known(SHA, "b.png", None)}
STAMP = Stamp("acme", AttemptKey("j1", 3), 2, "abc1234", None, "2026-11-21T10:00:00.000000Z", PROVENANCE)


def rows_of(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(gzip.decompress(content).decode(), newline="")))


def boxes(*labels: str) -> tuple[PredictedBox, ...]:
    return tuple(
        PredictedBox(label=label, confidence=0.9 - n / 10, left=1.5, top=2, width=3, height=4, index=n)
        for n, label in enumerate(labels)
    )


def predicted(picture: str, **given: Any) -> PredictedPicture:
    values: dict[str, Any] = {"picture_id": picture, "input": "predict", "sha256": SHA, "width": 9, "height": 9}
    return PredictedPicture(**(values | given))


def table(folder: Path, *pictures: PredictedPicture, rows_per_part: int = 100, stamp: Stamp = STAMP) -> Any:
    source = folder / "predictions.jsonl"
    write_lines(source, pictures)
    return write_table(source, folder / "parts", stamp, KNOWN, rows_per_part)


def test_every_column_of_a_box(tmp_path: Path) -> None:
    made = table(tmp_path, predicted("p0", boxes=boxes("cat", 'a "dog",\nwet')), predicted("p1"))
    assert (made.rows, made.pictures, made.pictures_without) == (2, 2, 1)
    (part,) = made.parts
    content = part.path.read_bytes()
    assert (part.rows, part.size, part.sha256) == (2, len(content), hashlib.sha256(content).hexdigest())
    first, second = rows_of(content)
    assert list(first) == [column.name for column in COLUMNS]
    assert first == {
        "prediction_id": prediction_id(SHA, "mv1", "j1", 0),
        "organisation": "acme",
        "source": "batch",
        "picture_id": "p0",
        "picture_version": SHA,
        "picture_filename": "snow, man.png",
        "box_index": "0",
        "label": "cat",
        "confidence": "0.9",
        "left_px": "1.5",
        "top_px": "2.0",
        "width_px": "3.0",
        "height_px": "4.0",
        "scores": "",
        "model_id": "m1",
        "model_version": "mv1",
        "label_revision": "r7",
        "dataset_version": "dv1",
        "job": "j1",
        "attempt": "2",
        "fence": "3",
        "stream": "",
        "image_digest": "",
        "commit": "abc1234",
        "predicted_at": "2026-11-21T10:00:00.000000Z",
    }
    assert (second["label"], second["box_index"]) == ('a "dog",\nwet', "1")
    assert second["prediction_id"] == prediction_id(SHA, "mv1", "j1", 1)


def test_texts_are_quoted_and_nulls_are_not(tmp_path: Path) -> None:
    made = table(tmp_path, predicted("p1", boxes=boxes("cat")))
    line = gzip.decompress(made.parts[0].path.read_bytes()).decode().splitlines()[1]
    assert ',"m1","mv1",,"dv1","j1",2,3,,,"abc1234",' in line


def test_a_classifier_gives_one_row_with_the_other_scores(tmp_path: Path) -> None:
    scores = {"cat": 0.7, "dog": 0.1, "cow": 0.2}
    made = table(tmp_path, predicted("p0", label="cat", scores=scores))
    (row,) = rows_of(made.parts[0].path.read_bytes())
    assert (row["label"], row["confidence"], row["left_px"], row["width_px"]) == ("cat", "0.7", "", "")
    assert list(json.loads(row["scores"]).items()) == [("cow", 0.2), ("dog", 0.1)]


def test_scores_that_do_not_fit_lose_their_weakest(tmp_path: Path) -> None:
    scores = {f"label {n} " + "é" * 200: n / 1000 for n in range(400)} | {"cat": 0.9}
    made = table(tmp_path, predicted("p0", label="cat", scores=scores))
    (row,) = rows_of(made.parts[0].path.read_bytes())
    kept = json.loads(row["scores"])
    assert len(row["scores"].encode()) <= 65535
    assert min(kept.values()) > 0.2
    assert max(kept.values()) == 0.399


def test_an_online_row_is_the_same_prediction_in_whatever_job(tmp_path: Path) -> None:
    online = Provenance(source="online", model_id="m1", model_version="mv1", stream="s1")
    stamps = [Stamp("acme", AttemptKey(job, 1), 1, "c", None, "t", online) for job in ("j1", "j2")]
    ids = set()
    for n, stamp in enumerate(stamps):
        (tmp_path / str(n)).mkdir()
        (row,) = rows_of(
            table(tmp_path / str(n), predicted("p0", boxes=boxes("cat")), stamp=stamp).parts[0].path.read_bytes()
        )
        assert (row["source"], row["stream"]) == ("online", "s1")
        ids.add(row["prediction_id"])
    assert ids == {prediction_id(SHA, "mv1", "s1", 0)}


def test_parts_are_cut_by_rows_and_equal_rows_are_equal_bytes(tmp_path: Path) -> None:
    pictures = [predicted("p0", boxes=boxes("a", "b", "c")), predicted("p1", boxes=boxes("d", "e"))]
    first = table(tmp_path, *pictures, rows_per_part=2)
    assert [part.rows for part in first.parts] == [2, 2, 1]
    assert [part.path.name for part in first.parts] == [f"part-0000{n}.csv.gz" for n in range(3)]
    labels = [row["label"] for part in first.parts for row in rows_of(part.path.read_bytes())]
    assert labels == list("abcde")
    (tmp_path / "again").mkdir()
    again = table(tmp_path / "again", *pictures, rows_per_part=2)
    assert [part.sha256 for part in first.parts] == [part.sha256 for part in again.parts]


def test_long_texts_are_cut_to_their_column(tmp_path: Path) -> None:
    made = table(tmp_path, predicted("p0", boxes=boxes("é" * 400)))
    (row,) = rows_of(made.parts[0].path.read_bytes())
    assert row["label"] == "é" * 256


@pytest.mark.parametrize(
    ("picture", "words"),
    [
        (predicted("p9", boxes=boxes("cat")), "'p9'"),
        (predicted("p0", sha256="0" * 64), "'p0'"),
        (predicted("p0", input="test"), "'test'"),
        (predicted("p0", boxes=(boxes("a")[0], boxes("b")[0])), "not counted"),
    ],
)
def test_a_prediction_of_what_was_not_given_is_a_bad_output(tmp_path: Path, picture: Any, words: str) -> None:
    with pytest.raises(BadOutput, match=words):
        table(tmp_path, picture)


def test_a_line_that_is_no_prediction_is_a_bad_output(tmp_path: Path) -> None:
    (tmp_path / "predictions.jsonl").write_text('{"picture_id": "p0"}\n')
    with pytest.raises(BadOutput, match="line 1"):
        write_table(tmp_path / "predictions.jsonl", tmp_path / "parts", STAMP, KNOWN, 10)


async def test_a_prediction_job_gives_a_manifest_with_its_parts(platform: Any) -> None:
    await platform.start_worker(rows_per_part=3)
    pages = await platform.pictures("predict", {"ab.png": b"1", ".png": b"2", "c,d.png": b"3"})
    job = await platform.run("predict", kind="predict", inputs=(pages,), provenance=PROVENANCE)
    result = await platform.result(job)
    assert result.outcome == "succeeded"
    manifest = await platform.manifest(result)
    assert [(file.name, file.artifact) for file in manifest.files] == [
        ("predictions.jsonl", "predictions"),
        ("task.log", ""),
    ]
    made = manifest.predictions
    assert (made.output, made.rows, made.pictures, made.pictures_without) == ("predictions", 5, 3, 1)
    assert [(part.kind, part.rows) for part in made.parts] == [("predictions-part", 3), ("predictions-part", 2)]
    rows = []
    for part in made.parts:
        assert part.key.startswith(f"acme/jobs/{job}/1/predictions/part-")
        content = await platform.objects.get(part.key)
        assert hashlib.sha256(content).hexdigest() == part.sha256
        rows += rows_of(content)
    assert [(row["picture_id"], row["picture_filename"], row["label_revision"], row["box_index"]) for row in rows] == [
        ("p0", "ab.png", "r0", "0"),
        ("p0", "ab.png", "r0", "1"),
        ("p2", "c,d.png", "r2", "0"),
        ("p2", "c,d.png", "r2", "1"),
        ("p2", "c,d.png", "r2", "2"),
    ]
    assert len({row["prediction_id"] for row in rows}) == 5
    assert {(row["job"], row["attempt"], row["fence"], row["commit"]) for row in rows} == {(job, "1", "1", "abc1234")}


async def test_the_predictions_of_a_training_are_no_rows(platform: Any) -> None:
    await platform.start_worker()
    pages = await platform.pictures("predict", {"ab.png": b"1"})
    result = await platform.result(await platform.run("predict", kind="train", inputs=(pages,)))
    manifest = await platform.manifest(result)
    assert manifest.predictions is None
    assert "predictions" in {file.artifact for file in manifest.files}
