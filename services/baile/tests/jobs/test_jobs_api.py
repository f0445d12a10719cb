"""`/v1/jobs`: a job with its life, its whole result, and what it measured."""

import json
from dataclasses import replace
from typing import Any

import pytest

from studio9_baile.models.library import Share
from studio9_baile.usecases.changes import Kind
from studio9_common.contracts.job import Attempt, Event, Exit, Input, Job, ObjectRef, Phase, Spec, State
from studio9_common.contracts.messages import JobCompleted
from studio9_common.contracts.predictions import AttemptManifest, ManifestFile
from studio9_common.contracts.reasons import reason
from studio9_common.ids import new_id
from studio9_task.results import RESULT

TIME = "2026-11-21T10:00:00.000000Z"
FIGURES = {
    "input": "test", "pictures": 2, "boxes": 3, "predicted": 3, "labels": ["buoy", "ship"], "map50": 0.75,
    "map50_95": 0.5, "recall_at_025": 0.9, "precision_at_025": 0.8,
    "per_class": [{"label": "buoy", "ap50": 0.7, "boxes": 1, "predicted": 1}, {"label": "ship", "boxes": 2,
                                                                             "predicted": 2}],
    "confusion": {"labels": ["buoy", "ship"], "matrix": [[0, 0, 1], [0, 2, 0], [0, 1, 0]]},
}  # fmt: skip
EVALUATION = {"schema": 1, "kind": "evaluate", "framework": "yolo", "labels": ["buoy", "ship"], "test": FIGURES}


async def completed(installation: Any, process: Any, result: bytes) -> JobCompleted:
    """The end of a job that left this result."""
    prefix = f"{process.organisation}/jobs/{process.id}/1"
    objects, files = installation.objects, []
    for name, artifact, content in (("result.json", "result", result), ("predictions.jsonl", "predictions", b"")):
        info = await objects.put(f"{prefix}/outputs/{name}", content)
        files.append(ManifestFile(name=name, key=info.key, sha256=info.sha256, size=info.size, artifact=artifact))
    manifest = AttemptManifest(
        organisation=process.organisation, job=process.id, attempt=1, fence=1, kind="evaluate", files=tuple(files)
    )
    info = await objects.put(f"{prefix}/manifest.json", manifest.model_dump_json().encode())
    return JobCompleted(
        job=process.id, kind="evaluate", time=TIME, state=State.completed, attempt=1, fence=1, created_at=TIME,
        started_at=TIME, ended_at=TIME, manifest=ObjectRef(key=info.key, sha256=info.sha256, size=info.size),
        summary={"kind": "evaluate"},
    )  # fmt: skip


def telemetry(installation: Any, process: Any, sequence: int, *items: dict[str, Any]) -> None:
    known = installation.stand_ins.documents.setdefault("telemetry", {})
    body = {"organisation": process.organisation, "job": process.id, "fence": 1, "sequence": sequence}
    known[f"{process.id}:1:{sequence}"] = {**body, "items": list(items)}


async def test_a_job_before_and_after_orion_knows_it(installation: Any, ana: Any, orion: Any, asked: Any) -> None:
    process = await asked(ana)
    unknown = await ana.ok("GET", f"/v1/jobs/{process.id}")
    assert unknown["status"] == "QUEUED" and "state" not in unknown and unknown["attempts"] == []
    why = reason("worker_lost")
    attempts = (
        Attempt(number=1, fence=1, worker="w", assigned_at=TIME, started_at=TIME, ended_at=TIME, outcome="lost",
                reason=why, exit=Exit(code=137, peak_memory=5, log_tail=("killed",))),
        Attempt(number=2, fence=2, worker="v", assigned_at=TIME, started_at=TIME),
    )  # fmt: skip
    event = Event(n=1, time=TIME, type="requested", phase=Phase.submitted, state=State.submitted)
    orion.keep(
        Job(id=process.id, organisation=process.organisation, owner=process.owner, spec=Spec(kind="evaluate"),
            request_hash="h", state=State.running, phase=Phase.running, fence=2, attempts=attempts, events=(event,),
            created_at=TIME, updated_at=TIME)
    )  # fmt: skip
    known = await ana.ok("GET", f"/v1/jobs/{process.id}")
    assert (known["state"], known["phase"], len(known["attempts"])) == ("running", "running", 2)
    lost = known["attempts"][0]
    assert (lost["outcome"], lost["exit_code"], lost["log_tail"]) == ("lost", 137, ["killed"])
    assert lost["reason"]["code"] == "worker_lost" and lost["reason"]["reason_class"] == "infrastructure"
    assert known["events"] == [
        {
            "n": 1,
            "time": TIME,
            "type": "requested",
            "phase": "submitted",
            "state": "submitted",
            "detail": "",
            "count": 1,
        }
    ]


async def test_a_waiting_job_says_why(installation: Any, ana: Any, orion: Any, asked: Any) -> None:
    process = await asked(ana)
    job = Job(
        id=process.id, organisation=process.organisation, owner=process.owner, spec=Spec(kind="evaluate"),
        request_hash="h", state=State.queued, phase=Phase.queued, created_at=TIME, updated_at=TIME,
    )  # fmt: skip
    orion.keep(job)
    assert (await ana.ok("GET", f"/v1/jobs/{process.id}"))["waiting"] == "has just arrived"
    place = {"kind": "cpu", "labels": [], "isolated": False, "memory_gib": [0.0], "total": 2, "free": 0, "best_gib": []}
    snapshot = {
        "places": [place], "waiting": 2, "shapes": [[0, 0.0, [], False]], "organisations": ["other", job.organisation],
        "order": [[new_id(), 0, 0], [job.id, 0, 1]], "limits": {job.organisation: [1, 4]}, "project_limits": {},
    }  # fmt: skip
    known = installation.stand_ins.documents.setdefault("scheduler", {})
    known["snapshot:default"] = {"organisation": "system", "pool": "default", "epoch": 1, "snapshot": snapshot}
    told = (await ana.ok("GET", f"/v1/jobs/{process.id}"))["waiting"]
    assert told == "needs 1 slot; 1 job ahead; all 2 fitting slots are taken; organisation limit 1 of 4"
    code = Input(name="code", kind="file", ref=ObjectRef(key="k", sha256="0" * 64, size=1))
    orion.keep(replace(job, spec=Spec(kind="train", framework="custom", inputs=(code,))))
    held = (await ana.ok("GET", f"/v1/jobs/{process.id}"))["held_by"]
    assert (held["reason_class"], held["code"]) == ("policy", "isolation_required") and "container" in held["message"]
    orion.keep(replace(job, state=State.running, phase=Phase.running))
    assert "waiting" not in await ana.ok("GET", f"/v1/jobs/{process.id}")


async def test_the_whole_result_as_the_task_wrote_it(
    installation: Any, ana: Any, orion: Any, asked: Any, until: Any
) -> None:
    process = await asked(ana)
    early = await ana.send("GET", f"/v1/jobs/{process.id}/result")
    assert early.status_code == 409 and early.json()["title"] == "no result"
    ended = await completed(installation, process, json.dumps(EVALUATION).encode())
    await orion.tell(process.organisation, ended)

    async def done() -> Any:
        answer = await ana.ok("GET", f"/processes/{process.id}")
        return answer if answer["status"] not in ("QUEUED", "RUNNING") else None

    assert (await until(done))["status"] == "COMPLETED"
    result = await ana.ok("GET", f"/v1/jobs/{process.id}/result")
    assert result == RESULT.validate_python(EVALUATION).model_dump(mode="json")
    test = result["test"]
    assert [one["label"] for one in test["per_class"]] == ["buoy", "ship"] and test["per_class"][1]["ap50"] is None
    assert test["confusion"]["matrix"][0] == [0, 0, 1]
    assert [test[name] for name in ("map50", "map50_95", "recall_at_025", "precision_at_025")] == [0.75, 0.5, 0.9, 0.8]
    job = await ana.ok("GET", f"/v1/jobs/{process.id}")
    assert (job["status"], job["result"], job["summary"]) == ("COMPLETED", "done", {"kind": "evaluate"})


@pytest.mark.parametrize("content", [b"{", b'{"kind": "evaluate"}'])
async def test_a_result_that_cannot_be_read_is_said(
    installation: Any, ana: Any, orion: Any, asked: Any, until: Any, content: bytes
) -> None:
    process = await asked(ana)
    await orion.tell(process.organisation, await completed(installation, process, content))

    async def done() -> Any:
        answer = await ana.ok("GET", f"/processes/{process.id}")
        return answer if answer["status"] == "FAILED" else None

    assert "result cannot be read" in (await until(done))["cause"]
    refused = await ana.send("GET", f"/v1/jobs/{process.id}/result")
    assert refused.status_code == 400 and "cannot be read" in refused.json()["detail"]


async def test_what_a_job_measured(installation: Any, ana: Any, asked: Any) -> None:
    process, other = await asked(ana), await asked(ana)
    head = {"kind": "metric", "key": "map50", "split": "val"}
    telemetry(installation, process, 1, {**head, "step": 2, "value": 0.4, "time": "2026-11-21T10:00:02.000000Z"})
    telemetry(
        installation, process, 0,
        {**head, "step": 1, "value": 0.2, "time": "2026-11-21T10:00:01.000000Z"},
        {"kind": "log", "level": "info", "message": "hello", "time": "2026-11-21T10:00:01.000000Z"},
    )  # fmt: skip
    telemetry(installation, other, 0, {**head, "step": 1, "value": 0.9, "time": TIME})
    assert await ana.ok("GET", f"/v1/jobs/{process.id}/metrics") == [
        {"key": "map50", "step": 1, "split": "val", "value": 0.2, "time": "2026-11-21T10:00:01.000000Z"},
        {"key": "map50", "step": 2, "split": "val", "value": 0.4, "time": "2026-11-21T10:00:02.000000Z"},
    ]


async def test_nobody_else_learns_that_there_is_a_job(installation: Any, ana: Any, bo: Any, asked: Any) -> None:
    process = await asked(ana)
    for path in ("", "/result", "/metrics"):
        refused = await bo.send("GET", f"/v1/jobs/{process.id}{path}")
        assert refused.status_code == 404 and refused.headers["content-type"] == "application/problem+json"
        assert (await ana.send("GET", f"/v1/jobs/unknown{path}")).status_code == 404
        assert (await installation.http().get(f"/v1/jobs/{process.id}{path}")).status_code == 401
    installation.stand_ins.away = True
    away = await ana.send("GET", f"/v1/jobs/{process.id}")
    assert away.status_code == 503 and away.headers["retry-after"]


async def test_a_job_is_shown_to_those_who_see_its_asset(installation: Any, ana: Any, asked: Any) -> None:
    users = {}
    for name in ("cy", "di"):
        body = {"username": name, "email": f"{name}@lab.test", "password": "Correct-horse-9", "firstName": name.title(),
                "lastName": "Oz"}  # fmt: skip
        users[name] = (await ana.ok("POST", "/users", body))["id"]
    cy, di = await installation.sign_in("cy"), await installation.sign_in("di")
    process = await asked(cy)
    stream = await asked(cy, target=Kind.ONLINE_JOB)
    paths = [f"/v1/jobs/{process.id}", f"/v1/jobs/{process.id}/metrics"]
    for path in paths:
        assert (await di.send("GET", path)).status_code == 404
        await cy.ok("GET", path)
        await ana.ok("GET", path)
    assert (await di.ok("GET", f"/v1/jobs/{stream.id}"))["target"] == "ONLINE_JOB"
    async with installation.baile.core.database.write(process.organisation) as work:
        given = {"id": new_id(), "organisation": process.organisation, "created_at": work.now, "updated_at": work.now}
        asset = {"kind": process.target, "asset": process.target_id, "owner": users["cy"], "recipient": users["di"]}
        work.shares.add(Share(**given, **asset))
    for path in paths:
        await di.ok("GET", path)


@pytest.mark.parametrize(
    ("body", "field"),
    [({"token": 5}, "token"), ({"token": "x", "organisation": 7}, "organisation"), ({"x": 1, "token": "t"}, "x")],
)
async def test_bad_input_is_a_problem_with_status_400(installation: Any, body: Any, field: str) -> None:
    whole = dict.fromkeys(("token", "organisation", "username", "email", "password", "firstName", "lastName"), "a")
    refused = await installation.http().post("/v1/bootstrap", json={**whole, **body})
    assert refused.status_code == 400 and refused.headers["content-type"] == "application/problem+json"
    problem = refused.json()
    assert (problem["type"], problem["status"], problem["field"]) == ("urn:studio9:problem:bad_input", 400, field)
    assert problem["fix"] and problem["detail"].startswith(f"{field}: ")
    assert problem.get("value") == (None if field == "token" else str(body[field]))


async def test_a_body_above_the_limit_is_a_problem(installation: Any) -> None:
    large = b" " * (installation.settings.max_body + 1)
    refused = await installation.http().post("/v1/bootstrap", content=large)
    assert refused.status_code == 413 and refused.headers["content-type"] == "application/problem+json"
    assert refused.json()["fix"] == f"send at most {installation.settings.max_body} bytes"


async def test_baile_is_ready_when_its_dependencies_are(installation: Any) -> None:
    ready = await installation.http().get("/ready")
    assert ready.status_code == 200
    await installation.bus.close()
    unready = await installation.http().get("/ready")
    assert unready.status_code == 503 and unready.json()["detail"].startswith("bus: ")
