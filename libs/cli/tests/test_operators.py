"""The operators' pages from what Orion answers, and the tokens of operators."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from studio9_cli.deployment import write_secrets
from studio9_cli.main import main
from studio9_cli.operators import text
from studio9_cli.operators.dead_letter_page import dead_letter_list
from studio9_cli.operators.job_page import job_list, job_page
from studio9_cli.operators.worker_page import worker_list
from studio9_cli.platform.state import StateFolder
from studio9_common.contracts.job import (
    Attempt,
    Event,
    Exit,
    Job,
    ObjectRef,
    Output,
    Phase,
    Requirements,
    Spec,
    State,
    dump,
)
from studio9_common.contracts.reasons import reason
from studio9_common.errors import Unauthenticated
from studio9_common.tokens import TokenKeys

T = "2026-11-21T10:00:0{}.000000Z"
REF = ObjectRef(key="acme/jobs/j/1/checkpoints/000007.pt", sha256="0" * 64, size=5 << 20)


@pytest.fixture
def job() -> dict[str, Any]:
    """One that was lost with its worker, went on elsewhere and completed, as Orion answers it."""
    lost = Attempt(
        number=1, fence=1, worker="w1", assigned_at=T.format(1), started_at=T.format(2), ended_at=T.format(3),
        outcome="lost", reason=reason("worker_lost"), checkpoint=REF,
    )  # fmt: skip
    second = Attempt(
        number=2, fence=2, worker="w2", assigned_at=T.format(5), started_at=T.format(6), ended_at=T.format(8),
        outcome="succeeded", exit=Exit(code=0, peak_memory=3 << 29),
    )  # fmt: skip
    events = (
        Event(n=1, time=T.format(0), type="requested", phase=Phase.submitted, state=State.submitted),
        Event(
            n=2, time=T.format(1), type="refused", phase=Phase.queued, state=State.queued, attempt=1,
            reason=reason("no_slot"), count=3,
        ),
        Event(n=3, time=T.format(8), type="completed", phase=Phase.cleaning, state=State.completed, attempt=2),
    )  # fmt: skip
    made = Job(
        id="j", organisation="acme", owner="ana", request_hash="h", attempts=(lost, second), events=events,
        spec=Spec(kind="train", requirements=Requirements(gpus=2, gpu_memory_gib=24, labels=("a100",))),
        state=State.completed, phase=Phase.clean, checkpoint=REF, retried_from="i", created_at=T.format(0),
        updated_at=T.format(9), queued_at=T.format(1), started_at=T.format(2), ended_at=T.format(8),
        outputs={"predictions": Output(state="loaded", rows=120, time=T.format(9))},
        traceparent="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    )  # fmt: skip
    line = {"time": T.format(7), "level": "info", "message": "epoch 8 of 8"}
    return json.loads(json.dumps({**dump(made), "why_waiting": None, "heard": None, "logs": [line]}))  # type: ignore[no-any-return]


def test_the_page_of_a_job_tells_all_of_it(job: dict[str, Any]) -> None:
    page = job_page(job)
    for told in (
        "job j  train (yolo)", "completed (phase clean)", "2 GPU, 24 GiB of GPU memory, labels a100", "retried from  i",
        "4bf92f3577b34da6a3ce929d0e0e4736", "predictions: loaded, 120 rows", "6 s after its start", "worker_lost",
        "000007.pt (5 MiB)", "1.5 GiB", "refused ×3", "2026-11-21 10:00:07 info  epoch 8 of 8",
    ):  # fmt: skip
        assert told in page, f"{told!r} is not in\n{page}"
    assert not any(line.endswith(" ") for line in page.splitlines())


def test_a_running_job_shows_how_far_it_is(job: dict[str, Any]) -> None:
    detail = {"epoch": 3, "epochs": 8, "remaining_s": 90.2}
    job["heard"] = {"worker": "w2", "progress": 0.375, "received_at": T.format(7), "detail": detail}
    assert "38%, epoch 3 of 8, about 90 s left" in job_page(job)


def test_lists_have_a_line_each() -> None:
    waits = {
        "id": "j1", "kind": "train", "state": "queued", "phase": "backing_off", "priority": 2, "attempts": 1,
        "created_at": T.format(0), "why_waiting": "needs 1 GPU; 2 jobs ahead",
    }  # fmt: skip
    (_, line) = job_list([waits]).splitlines()
    assert "queued/backing_off" in line and line.endswith("needs 1 GPU; 2 jobs ahead")
    assert job_list([]) == "no jobs" and worker_list([]) == "no workers"
    slots = [{"id": "g0", "kind": "gpu", "gpu_memory_free_gib": 12.5, "job": "j1"}, {"id": "c0", "kind": "cpu"}]
    worker = {"id": "w1", "state": "draining", "last_seen": T.format(0), "slots": slots, "labels": ["a", "b"]}
    line = worker_list([worker]).splitlines()[1]
    assert "draining" in line and "1 of 2" in line and "12.5 GiB" in line and line.endswith("a, b")
    letter = {"id": "d1", "queue": "q.v1", "reason": "x" * 300, "died_at": T.format(0)}
    told = dead_letter_list({"items": [letter], "total": 5}).splitlines()
    assert len(told[1]) < 200 and told[2].startswith("4 more")


def test_ages_sizes_and_durations_are_short() -> None:
    now = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
    assert [text.age(f"2026-11-{day}T{hour}:00:00.000000Z", now) for day, hour in (("21", "11"), ("19", "12"))] == [
        "60 min",
        "2 d",
    ]
    assert [text.duration(seconds) for seconds in (-1, 119, 120, 7200, 172_800)] == [
        "0 s",
        "119 s",
        "2 min",
        "2 h",
        "2 d",
    ]
    assert [text.size(count) for count in (None, 0, 2048, 3 << 20, 5 << 30)] == [
        None,
        "0 B",
        "2 KiB",
        "3 MiB",
        "5.0 GiB",
    ]
    assert text.cell("two\nlines") == "two lines" and text.cell([]) == "-"


def test_an_operators_token_opens_orion_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    environment, _ = write_secrets(tmp_path / "compose")
    keys = TokenKeys(next(line[11:] for line in environment.read_text().splitlines() if line.startswith("TOKEN_KEYS=")))
    assert main(["admin", "operator-token", "--env-file", str(environment), "--organisation", "o1"]) == 0
    token = capsys.readouterr().out.strip()
    assert keys.check(token, "orion").organisation == "o1"
    with pytest.raises(Unauthenticated):
        keys.check(token, "aries")
    folder = StateFolder(tmp_path / "state")
    own = TokenKeys(folder.secrets().token_keys)
    assert main(["admin", "operator-token", "--state", str(tmp_path / "state"), "--days", "0.5"]) == 0
    assert own.check(capsys.readouterr().out.strip(), "orion").organisation == "system"
    assert main(["admin", "operator-token", "--state", str(tmp_path / "none")]) == 1
    assert "no token keys here" in capsys.readouterr().err


def test_commands_say_what_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["jobs", "list", "--state", str(tmp_path)]) == 1
    assert "start one with `./studio9 up`" in capsys.readouterr().err
    assert main(["workers", "list", "--url", "http://127.0.0.1:9"]) == 1
    assert "--token-file" in capsys.readouterr().err
    (tmp_path / "token").write_text("t")
    assert main(["workers", "list", "--url", "http://127.0.0.1:9", "--token-file", str(tmp_path / "token")]) == 1
    assert "cannot be reached" in capsys.readouterr().err
