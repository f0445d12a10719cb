"""The small pure parts, and those that only touch files."""

import os
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from studio9_common.contracts.job import ObjectRef, Requirements, Spec
from studio9_common.contracts.messages import Slot, WorkerResult, WorkerRun
from studio9_common.contracts.reasons import reason
from studio9_common.objects.local import LocalObjects
from studio9_task.events import Artifact
from studio9_task.layout import PICTURES, TaskFolder
from studio9_task.outputs import Written
from studio9_task.report import EventWriter
from studio9_worker.admission import Verdict, judge
from studio9_worker.announcement import NoCatalogue, ask_catalogue
from studio9_worker.cache import InputCache
from studio9_worker.collect import MESSAGE, fitting
from studio9_worker.folders import JobFolders
from studio9_worker.lease import AttemptKey
from studio9_worker.logtail import log_tail
from studio9_worker.machine import free_cores, threads_for, usage
from studio9_worker.outputs import BadOutput, check_limits
from studio9_worker.records import AttemptRecord, Cursor, Seen
from studio9_worker.settings import WorkerSettings
from studio9_worker.slots import Slots, cpu_slots
from studio9_worker.state import KEPT, WorkerState
from studio9_worker.telemetry import BatchReader

NOW = datetime(2026, 11, 21, tzinfo=UTC)


@pytest.mark.parametrize(
    ("fence", "highest", "cancelled", "here", "slot", "verdict"),
    [
        (1, 0, 0, False, True, Verdict.accept),
        (2, 1, 1, False, True, Verdict.accept),
        (1, 1, 0, True, True, Verdict.duplicate),
        (1, 1, 1, True, True, Verdict.duplicate),
        (1, 1, 0, False, True, Verdict.stale),
        (1, 2, 0, False, False, Verdict.stale),
        (2, 1, 2, False, True, Verdict.cancelled),
        (2, 1, 5, False, True, Verdict.cancelled),
        (2, 1, 0, False, False, Verdict.no_slot),
    ],
)
def test_admission(fence: int, highest: int, cancelled: int, here: bool, slot: bool, verdict: Verdict) -> None:
    assert judge(fence, highest=highest, cancelled=cancelled, here=here, slot=slot) is verdict


def test_slots_fit_by_label_kind_and_free_memory() -> None:
    gpu = Slot(id="gpu-0", kind="gpu", gpu_memory_gib=24, gpu_memory_free_gib=20)
    big = Slot(id="gpu-1", kind="gpu", gpu_memory_gib=80, gpu_memory_free_gib=80)
    slots = Slots((big, gpu, Slot(id="cpu-0")), ("lab",))

    def fitting(taken: set[str] = frozenset(), **needs: Any) -> str:  # type: ignore[assignment]
        return " ".join(slot.id for slot in slots.fitting(Requirements(**needs), taken))

    assert fitting() == "cpu-0"
    assert fitting({"cpu-0"}) == "gpu-1", "what needs no GPU may still have one's slot"
    assert fitting({"cpu-0", "gpu-0", "gpu-1"}) == ""
    assert fitting(gpus=1) == "gpu-0", "the smallest that fits"
    assert fitting(gpus=1, gpu_memory_gib=22) == "gpu-1", "what is really free counts"
    assert fitting(gpus=2) == "gpu-0 gpu-1"
    assert fitting({"gpu-1"}, gpus=2) == "", "one GPU is not two"
    assert fitting(gpus=2, gpu_memory_gib=22) == "", "each of them needs the memory"
    assert fitting(labels=("lab",)) == "cpu-0"
    assert fitting(labels=("lab", "quiet")) == ""
    assert [slot.job for slot in cpu_slots(2).occupied({"cpu-1": "j"})] == [None, "j"]


@pytest.mark.parametrize(
    ("wanted", "load", "available", "threads"),
    [(0, 0.0, 8, 8), (0, 0.2, 8, 8), (0, 3.4, 8, 4), (2, 0.0, 8, 2), (4, 6.5, 8, 1), (1, 0.1, 2, 1), (0, 30.0, 2, 1)],
)
def test_a_task_gets_the_cores_that_nobody_uses(wanted: float, load: float, available: int, threads: int) -> None:
    assert free_cores(wanted, load, available) == threads


def test_the_setting_decides_about_threads() -> None:
    assert threads_for(16, 1) == 1
    assert threads_for(1, 0) == 1
    assert {"cores", "load", "memory_gib"} <= usage().keys()


def test_the_last_lines_of_a_log(tmp_path: Path) -> None:
    log = tmp_path / "task.log"
    assert log_tail(log) == ()
    log.write_bytes(b"one\n10%\r50%\r100%\n\x1b[31mred\x1b[0m\xff\n")
    assert log_tail(log) == ("one", "100%", "[31mred[0m\ufffd")
    log.write_text("".join(f"{n}\n" for n in range(5000)))
    assert log_tail(log) == tuple(str(n) for n in range(4800, 5000))
    log.write_text("".join("é" * 99 + f"{n}\n" for n in range(1000)))
    kept = log_tail(log)
    assert kept[-1].endswith("999")
    assert 7000 < sum(len(line.encode()) + 1 for line in kept) <= 8192
    log.write_text("x" * 100_000)
    assert log_tail(log) == ()
    log.write_text("short\n" + "x" * 20_000)
    assert log_tail(log) == ("x" * 8192,)


async def test_a_batch_of_telemetry_is_repeated_exactly(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    with EventWriter(path, tmp_path) as events:
        for n in range(5):
            events.progress(n / 10)
            events.metric("loss", n, step=n)
        with path.open("ab") as file:
            file.write(b"broken\n")
        events.artifact("model", Written(tmp_path / "m.pt", 1, "0" * 64))
        first = await BatchReader(path).next()
        assert first is not None
        for n in range(5, 9):
            events.metric("loss", n, step=n)
        events.result({})
    again = BatchReader(path, first.cursor)
    repeated = await again.next()
    assert repeated is not None
    kinds = [item.kind for item in first.items]
    assert kinds == ["metric"] * 4 + ["progress", "metric", "warning", "artifact"]
    assert (repeated.cursor, repeated.items) == (first.cursor, first.items)
    rest = await again.next()
    assert rest is not None
    assert [item.value for item in rest.items] == [5, 6, 7, 8]
    assert rest.cursor.start > first.cursor.start
    assert await again.next() is None


def test_a_result_can_be_sent_whatever_its_reason_says() -> None:
    told = {"worker": "w", "job": "j1", "organisation": "acme", "attempt": 1, "fence": 1, "outcome": "failed"}
    result = fitting(WorkerResult(**told, reason=reason("bad_input", "ü" * 100_000)))
    assert result.reason is not None and result.reason.code == "bad_input"
    assert len(result.reason.message) == MESSAGE and result.reason.message.endswith("…")


async def test_the_state_survives_and_keeps_the_highest(tmp_path: Path) -> None:
    key = AttemptKey("j1", 4)
    run = WorkerRun(worker="w", job="j1", attempt=2, fence=4, spec=Spec(kind="train", parameters={"a": [1, "ü"]}))
    record = AttemptRecord(key, "acme", ("gpu-0", "gpu-1"), run, "staging")
    state = WorkerState(tmp_path / "w.sqlite")
    await state.open()
    await state.accept(record, NOW)
    await state.refuse(AttemptKey("j1", 2), "stale", NOW)
    await state.refuse(AttemptKey("j1", 2), "stale", NOW)
    await state.bury(AttemptKey("j2", 7), NOW)
    await state.bury(AttemptKey("j2", 3), NOW)
    await state.set_stop(key, "told")
    await state.set_stop(key, "cancelled")
    await state.set_cursor(key, Cursor(10, 3))
    await state.set_checkpoint(key, ObjectRef(key="k", sha256="0" * 64, size=1))
    result = WorkerResult(worker="w", job="j1", organisation="acme", attempt=2, fence=4, outcome="cancelled")
    await state.set_result(key, result)
    assert await state.fact("id", lambda _: "first") == "first"
    await state.close()

    state = WorkerState(tmp_path / "w.sqlite")
    await state.open()
    assert await state.fact("id", lambda _: "second") == "first"
    assert await state.fact("id", lambda old: f"{old}+", keep=False) == "first+"
    assert (await state.seen("j1"), await state.seen("j2"), await state.seen("j3")) == (Seen(4, 0), Seen(0, 7), Seen())
    (found,) = await state.attempts()
    assert (found.run, found.phase, found.stop, found.cursor) == (run, "ended", "told", Cursor(10, 3))
    assert found.checkpoint == ObjectRef(key="k", sha256="0" * 64, size=1)
    assert found.result == result
    assert await state.refusals() == [("j1", 2, "stale", 2)]
    await state.prune(NOW + KEPT + timedelta(days=1))
    assert (await state.seen("j1"), await state.seen("j2")) == (Seen(4, 0), Seen())
    await state.forget(key)
    assert await state.attempts() == []
    await state.close()


async def test_the_cache_lets_go_of_what_was_not_used_for_longest(tmp_path: Path) -> None:
    objects = LocalObjects(tmp_path / "objects", base_url="http://127.0.0.1/objects")
    refs = {}
    for name in "abc":
        info = await objects.put(f"acme/x/{name}", name.encode() * 100)
        refs[name] = ObjectRef(key=info.key, sha256=str(info.sha256), size=100)
    cache = InputCache(tmp_path / "cache", 250)
    await cache.open()
    for turn, name in enumerate("abac"):
        target = tmp_path / "job" / f"{name}{turn}"
        await cache.link(objects, "acme", refs[name], target, 1)
        assert target.read_bytes() == name.encode() * 100
    kept = {path.name for path in (tmp_path / "cache").rglob("*") if path.is_file()}
    assert kept == {refs["a"].sha256, refs["c"].sha256}, "b was used before a was used again"
    assert (tmp_path / "job" / "b1").read_bytes() == b"b" * 100, "a task keeps what it has"
    (tmp_path / "cache" / "acme" / ".half").touch()
    again = InputCache(tmp_path / "cache", 150)
    await again.open()
    await objects.delete(refs["c"].key)
    await again.link(objects, "acme", refs["c"], tmp_path / "job" / "later", 1)
    kept = {path.name for path in (tmp_path / "cache").rglob("*") if path.is_file()}
    assert kept == {refs["c"].sha256}
    for path in (tmp_path / "cache").rglob(refs["c"].sha256):
        path.unlink()
    await objects.put(refs["c"].key, b"c" * 100)
    await again.link(objects, "acme", refs["c"], tmp_path / "job" / "last", 1)
    assert (tmp_path / "job" / "last").read_bytes() == b"c" * 100, "what was taken from its disk is fetched again"
    await objects.close()


def test_folders_are_known_by_name_and_removed_whatever_is_in_them(tmp_path: Path) -> None:
    folders = JobFolders(tmp_path)
    key = AttemptKey("01-a.b", 12)
    folder: TaskFolder = folders.of(key)
    folder.make()
    (folder.outputs / "sub").mkdir()
    (folder.outputs / "sub" / "file").touch()
    os.chmod(folder.outputs / "sub" / "file", 0)
    os.chmod(folder.outputs / "sub", stat.S_IRUSR)
    os.symlink("/etc", folder.outputs / "etc")
    (tmp_path / "no-fence").mkdir()
    (tmp_path / "file.3").touch()
    assert folders.list() == [key]
    folders.remove(key)
    folders.remove(key)
    assert folders.list() == []
    assert Path("/etc/hostname").parent.exists()


def test_output_limits() -> None:
    def artifact(path: str, size: int) -> Artifact:
        return Artifact(time="2026-11-21T10:00:00.000000Z", sequence=1, name="x", path=path, sha256="0" * 64, size=size)

    settings = WorkerSettings(output_gib=1, outputs_gib=1.5, outputs_count=3)
    check_limits([artifact("a", 1 << 30)], settings)
    with pytest.raises(BadOutput, match="at most 1 GiB"):
        check_limits([artifact("a", (1 << 30) + 1)], settings)
    with pytest.raises(BadOutput, match=r"1\.5 GiB together"):
        check_limits([artifact("a", 1 << 30), artifact("b", 1 << 30)], settings)
    with pytest.raises(BadOutput, match="4 outputs"):
        check_limits([artifact(str(n), 1) for n in range(4)], settings)


async def test_the_catalogue_is_asked_for_and_complaints_are_told() -> None:
    assert await ask_catalogue(("/bin/sh", "-c", 'echo \'{"a": [{"b": null, "c": 1}], "d": null}\'')) == {
        "a": [{"c": 1}]
    }
    for command, words in (
        (("/nonexistent",), "cannot be started"),
        (("/bin/sh", "-c", "echo broken >&2; exit 1"), "broken"),
        (("/bin/sh", "-c", "echo {}; exit 3"), "ended with 3"),
    ):
        with pytest.raises(NoCatalogue, match=words):
            await ask_catalogue(command)


@pytest.mark.parametrize("left", ["nothing", "an output", "a link"])
def test_a_folder_goes_whatever_a_task_left_and_nothing_behind_a_link_does(tmp_path: Path, left: str) -> None:
    folders, key = JobFolders(tmp_path / "jobs"), AttemptKey("job", 1)
    folder, elsewhere = folders.of(key), tmp_path / "elsewhere" / PICTURES
    folder.make()
    elsewhere.mkdir(parents=True)
    folder.request.write_text("{}")
    if left == "an output":
        (folder.outputs / "model.pt").write_bytes(b"weights")
    elif left == "a link":
        (folder.inputs / PICTURES).rmdir()
        folder.inputs.rmdir()
        folder.inputs.symlink_to(elsewhere.parent)
    folders.remove(key)
    assert folders.list() == []
    assert elsewhere.is_dir()
    folders.remove(key)
