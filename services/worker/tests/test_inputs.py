"""Staging with real objects, and what keeps it from succeeding."""

import asyncio
import hashlib
from typing import Any

from studio9_common.contracts.job import Input, ObjectRef
from studio9_worker.cache import MARK, InputCache


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


async def test_a_manifest_may_be_named_as_the_folder_of_the_pictures_and_a_file_may_not(platform: Any) -> None:
    await platform.start_worker()
    pages = await platform.pictures("pictures", {"a.png": b"first"})
    result = await platform.result(await platform.run("inputs", inputs=(pages,)))
    assert (result.outcome, result.summary["files"]) == ("succeeded", ["pictures/manifest.jsonl"])
    assert set(result.summary["pictures"]) == {hashlib.sha256(b"first").hexdigest(), "manifest.jsonl"}
    own = Input(name="pictures/x", kind="file", ref=await platform.put("acme/datasets/d/x", b"x"))
    result = await platform.result(await platform.run("inputs", inputs=(own,)))
    assert result.reason.code == "bad_input" and "rename it" in result.reason.message


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
    """Objects whose reads wait until they are let through."""

    def __init__(self, objects: Any) -> None:
        self._objects = objects
        self.asked, self.let = asyncio.Event(), asyncio.Event()

    async def get(self, *given: Any, **named: Any) -> Any:
        self.asked.set()
        await self.let.wait()
        return await self._objects.get(*given, **named)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._objects, name)


async def test_what_a_crash_of_the_machine_damaged_is_fetched_again(platform: Any) -> None:
    """A file that was never synced may come back empty: in the cache, and under the name that a job gave it."""
    objects, folder = platform.objects, platform.folder / "state"
    content = b"a picture"
    sha256 = hashlib.sha256(content).hexdigest()
    ref = await platform.put("acme/pictures/one", content)
    cache = InputCache(folder / "cache", 1 << 20)
    await cache.open()
    target = folder / "job" / sha256
    await cache.link(objects, "acme", ref, target, 1.0)
    (folder / MARK).write_text("another start of the machine")
    target.chmod(0o644)
    target.write_bytes(b"")
    again = InputCache(folder / "cache", 1 << 20)
    await again.open()
    await again.link(objects, "acme", ref, target, 1.0)
    assert target.read_bytes() == content
    assert target.stat().st_mode & 0o777 == 0o444
    await objects.delete("acme/pictures/one")
    other = folder / "another" / sha256
    await again.link(objects, "acme", ref, other, 1.0)  # once checked, it is not doubted any more
    assert other.samefile(target)
