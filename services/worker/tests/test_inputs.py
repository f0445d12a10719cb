"""Staging with real objects, and what keeps it from succeeding."""

import asyncio
import hashlib
from typing import Any

from studio9_common.contracts.job import Input, ObjectRef


async def test_inputs_are_staged_once_checked_and_read_only(platform: Any) -> None:
    await platform.start_worker()
    pages = await platform.pictures("train", {"a.png": b"first", "b.png": b"second", "copy of a.png": b"first"})
    model = Input(name="model", kind="file", ref=await platform.put("acme/models/v/weights.pt", b"weights"))
    table = Input(name="table", kind="file", ref=await platform.put("acme/datasets/d/labels.csv", b"a,b"))
    deep = Input(name="extra/deep/x.txt", kind="file", ref=await platform.put("acme/datasets/d/x", b"x"))
    job = await platform.run("inputs", inputs=(pages, model, table, deep))
    result = await platform.result(job)
    assert result.outcome == "succeeded"
    assert result.summary["pictures"] == sorted(hashlib.sha256(one).hexdigest() for one in (b"first", b"second"))
    assert result.summary["files"] == ["extra/deep/x.txt", "model/model.pt", "table/table.csv", "train/manifest.jsonl"]
    assert result.summary["content"]["model/model.pt"] == "weights"
    assert result.summary["names"] == ["train", "model", "table", "extra"]
    cached = sorted((platform.folder / "worker" / "cache" / "acme").rglob("*"), key=str)
    files = [path for path in cached if path.is_file()]
    assert len(files) == 6
    assert {path.stat().st_mode & 0o777 for path in files} == {0o444}


async def test_the_second_job_takes_its_pictures_from_the_cache(platform: Any) -> None:
    await platform.start_worker()
    pages = await platform.pictures("train", {"a.png": b"first"})
    sha256 = hashlib.sha256(b"first").hexdigest()
    await platform.result(await platform.run("inputs", inputs=(pages,)))
    await platform.objects.delete(f"acme/pictures/{sha256}")
    result = await platform.result(await platform.run("inputs", inputs=(pages,)))
    assert result.summary["pictures"] == [sha256]


async def test_another_organisations_objects_cannot_be_staged(platform: Any) -> None:
    await platform.start_worker()
    stolen = await platform.put("evil/models/v/model.pt", b"secret")
    result = await platform.result(await platform.run("inputs", inputs=(Input(name="model", kind="file", ref=stolen),)))
    assert (result.outcome, result.reason.code) == ("failed", "bad_input")
    pages = await platform.pictures("train", {"a.png": b"first"}, organisation="evil")
    result = await platform.result(await platform.run("inputs", inputs=(pages,)))
    assert (result.outcome, result.reason.code) == ("failed", "bad_input")
    assert "does not belong" in result.reason.message


async def test_what_cannot_be_staged_says_why(platform: Any) -> None:
    await platform.start_worker(cpu_slots=6)
    good = await platform.put("acme/models/v/model.pt", b"weights")
    absent = ObjectRef(key="acme/models/absent", sha256="0" * 64, size=1)
    damaged = ObjectRef(key=good.key, sha256="1" * 64, size=good.size)
    lines = await platform.put("acme/datasets/x", b'{"picture_id": 7}\n')
    cases = [
        (Input(name="model", kind="file", ref=absent), "staging_error", "acme/models/absent"),
        (Input(name="model", kind="file", ref=damaged), "staging_error", ""),
        (Input(name="../model", kind="file", ref=good), "bad_input", "../model"),
        (Input(name="pictures", kind="file", ref=good), "bad_input", "pictures"),
        (Input(name="train", kind="pictures", ref=lines), "bad_input", "line 1"),
        (
            Input(name="Train Set", kind="pictures", ref=await platform.put("acme/datasets/y", b"")),
            "bad_input",
            "inputs",
        ),
    ]
    jobs = [await platform.run("inputs", inputs=(given,)) for given, _, _ in cases]
    for job, (given, code, words) in zip(jobs, cases, strict=True):
        result = await platform.result(job)
        assert (result.outcome, result.reason.code) == ("failed", code), given
        assert words in result.reason.message
        assert result.exit is None
        await platform.gone(job)


async def test_a_prediction_must_say_of_which_model(platform: Any) -> None:
    await platform.start_worker()
    result = await platform.result(await platform.run("predict", kind="predict"))
    assert (result.reason.code, result.reason.class_) == ("bad_input", "user")
    assert "model_version" in result.reason.message


async def test_a_cancel_during_staging_ends_it_at_once(platform: Any) -> None:
    real, gate = platform.objects, Gate(platform.objects)
    platform.objects = gate
    await platform.start_worker()
    model = Input(name="model", kind="file", ref=await platform.put("acme/models/v/model.pt", b"weights"))
    job = await platform.run("inputs", inputs=(model,))
    await asyncio.wait_for(gate.asked.wait(), 10)
    await platform.cancel(job)
    result = await platform.result(job)
    assert (result.outcome, result.exit) == ("cancelled", None)
    gate.let.set()
    await platform.gone(job)
    platform.objects = real


class Gate:
    """Objects whose downloads wait until they are let through."""

    def __init__(self, objects: Any) -> None:
        self._objects = objects
        self.asked, self.let = asyncio.Event(), asyncio.Event()

    async def download(self, *given: Any, **named: Any) -> Any:
        self.asked.set()
        await self.let.wait()
        return await self._objects.download(*given, **named)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._objects, name)
