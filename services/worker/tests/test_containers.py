"""What a container is made of, how its end is read, which runner a worker has. With an engine: tests/containers."""

import json
from pathlib import Path
from typing import Any

import pytest

from studio9_common.errors import BadInput
from studio9_task.contained import RECORD
from studio9_task.layout import TaskFolder
from studio9_worker.lease import AttemptKey
from studio9_worker.runners.choosing import choose_runner
from studio9_worker.runners.container import Owner
from studio9_worker.runners.engine import Container, EngineAway, Image
from studio9_worker.runners.facts import Verdict, exit_record
from studio9_worker.runners.port import Launch
from studio9_worker.runners.sealing import Program, Room, container_body, question_body
from studio9_worker.runners.usage import disk_usage, over

from .conftest import worker_settings

TIME = "2026-11-21T10:00:00.123456789Z"
TOLD = {
    "schema": 1, "ending": "exited", "exit_code": 0, "started": "2026-11-21T10:00:00.000000Z",
    "ended": "2026-11-21T10:00:01.000000Z", "duration_s": 1.0,
}  # fmt: skip
ROOM = Room((10001, 10001), 1 << 30, cores=8)


def body(tmp_path: Path, image: Image | None = None, **given: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "key": AttemptKey("j", 2), "folder": TaskFolder(tmp_path), "request": b"{}", "image": None,
        "threads": 2, "gpus": (), "time_limit_s": 60.0, "disconnect_grace_s": 60.0, "stop_grace_s": 1.0,
        "memory_bytes": None, "file_bytes": None, "log_bytes": 1000, "nice": 5,
    }  # fmt: skip
    launch = Launch(**(values | given))
    return container_body(launch, image or Image("sha256:1"), Program(), ROOM, {"studio9.job": "j"})


def test_a_gpu_is_given_by_its_id(tmp_path: Path) -> None:
    with_gpu = body(tmp_path, gpus=("MIG-b",))
    (request,) = with_gpu["HostConfig"]["DeviceRequests"]
    assert (request["DeviceIDs"], request["Capabilities"]) == (["MIG-b"], [["gpu"]])
    assert not [line for line in with_gpu["Env"] if line.startswith("CUDA_VISIBLE_DEVICES")]
    without = body(tmp_path)
    assert without["HostConfig"]["DeviceRequests"] == []
    assert {"CUDA_VISIBLE_DEVICES=", "NVIDIA_VISIBLE_DEVICES=void"} <= set(without["Env"])


def test_threads_are_set_before_it_starts(tmp_path: Path) -> None:
    made = body(tmp_path)
    assert {"OMP_NUM_THREADS=2", "MKL_NUM_THREADS=2", "NUMBA_NUM_THREADS=2", "HOME=/tmp"} <= set(made["Env"])
    assert made["HostConfig"]["NanoCpus"] == 2_200_000_000


def test_an_images_volumes_are_not_the_machines_disk(tmp_path: Path) -> None:
    made = body(tmp_path, Image("sha256:1", ("/data",)))
    assert set(made["HostConfig"]["Tmpfs"]) == {"/tmp", "/data"}


def test_an_image_of_the_jobs_own_sees_nothing_of_this_machine(tmp_path: Path) -> None:
    assert {one["Target"].split("/")[1] for one in body(tmp_path)["HostConfig"]["Mounts"]} == {"job"}


def test_a_question_is_held_like_a_task(tmp_path: Path) -> None:
    program = Program(mounts={tmp_path: "/opt/x"})
    made = question_body(Image("sha256:1"), program, ROOM, ("--catalogue",), {})
    assert [*made["Entrypoint"], *made["Cmd"]] == ["studio9-task", "--catalogue"]
    host, task = made["HostConfig"], body(tmp_path)["HostConfig"]
    assert {name for name, value in host.items() if value != task[name]} == {"Mounts", "NanoCpus"}
    assert [(one["Target"], one["ReadOnly"]) for one in host["Mounts"]] == [("/opt/x", True)]


def container(**given: Any) -> Container:
    values: dict[str, Any] = {
        "id": "c", "status": "exited", "labels": {}, "exit_code": 0, "out_of_memory": False, "started": TIME,
        "ended": "2026-11-21T10:00:05Z", "error": "",
    }  # fmt: skip
    return Container(**(values | given))


def told(**changes: Any) -> str:
    return f"noise\n{RECORD}{json.dumps(TOLD | changes)}\n"


@pytest.mark.parametrize(
    ("given", "output", "options", "expected"),
    [
        ({}, told(), {}, ("exited", 0, None)),
        ({}, told(ending="stopped", exit_code=75), {"stop_asked": True}, ("stopped", 75, None)),
        ({}, told(ending="stopped", exit_code=75), {}, ("exited", 75, None)),
        ({"exit_code": 137}, "", {}, None),
        ({"exit_code": 137}, "", {"stop_asked": True}, ("stopped", None, 9)),
        ({"exit_code": 137, "out_of_memory": True}, "", {}, ("exited", None, 9)),
        ({"exit_code": 137}, told(), {"verdict": Verdict("disk_limit", "much")}, ("disk_limit", None, 9)),
        ({"exit_code": 1}, "No module named studio9_task\n", {}, ("start_failed", 1, None)),
        ({"exit_code": 1}, "No module named studio9_task\n", {"own_image": True}, ("bad_image", 1, None)),
        ({"exit_code": 1}, f"{RECORD}not json\n", {"own_image": True}, ("bad_image", 1, None)),
    ],
)
def test_how_it_ended(given: Any, output: str, options: Any, expected: Any) -> None:
    options = {"verdict": None, "stop_asked": False, "own_image": False} | options
    record = exit_record(container(**given), output, **options)
    assert (record and (record.ending, record.exit_code, record.signal)) == expected
    if record is not None and given.get("out_of_memory"):
        assert record.out_of_memory
        assert record.duration_s == pytest.approx(4.876544)


def test_what_a_task_wrote_is_counted_without_following_links(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "file").write_bytes(b"x" * 100_000)
    (tmp_path / "link").symlink_to("/usr")
    size, files = disk_usage([tmp_path, tmp_path / "nothing"])
    assert files == 4
    assert 100_000 <= size < 200_000
    assert over([tmp_path], 200_000) is None
    assert "50000 are allowed" in (over([tmp_path], 50_000) or "")


def test_names_hold_what_an_engine_takes() -> None:
    assert Owner("my studio/9", "w1").name("job.3") == "studio9-my-studio-9-w1-job.3"


def test_the_settings_name_the_runner(tmp_path: Path) -> None:
    away = {"docker_url": "unix:///nonexistent/docker.sock", "task_image": "sha256:" + "0" * 64}
    for settings in ({}, {"runner": "process"}, away):
        assert choose_runner(worker_settings(tmp_path, **settings), "w1", 1).name == "process"
    with pytest.raises(BadInput, match="need an image"):
        choose_runner(worker_settings(tmp_path, runner="container"), "w1", 1)
    with pytest.raises(EngineAway):
        choose_runner(worker_settings(tmp_path, runner="container", **away), "w1", 1)
    for image in ("debian", "debian:latest", "localhost:5000/debian"):
        with pytest.raises(BadInput, match="another image tomorrow"):
            choose_runner(worker_settings(tmp_path, runner="container", task_image=image), "w1", 1)
