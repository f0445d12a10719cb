"""`/v1`: searching a model's settings, and tuning sessions."""

import json
from typing import Any

import pytest

from studio9_common.contracts.collections import job_document
from studio9_common.contracts.job import Attempt, Child, Job, Phase, Spec, State
from studio9_common.contracts.messages import JobCancel, JobCancelled, JobProgress, JobQueued, JobRequested
from studio9_task.tuning import TuneParameters

CONFIG = {"architecture": "YOLO11N", "head": "YOLO_HEAD", "head_parameters": {"epochs": 3}}
RATE = {"kind": "float", "low": 0.001, "high": 0.1, "log": True}
VARY = {"rate": RATE, "optimizer": {"kind": "one_of", "values": ["AdamW", "SGD"]}}
TIME = "2026-11-21T10:00:00.000000Z"
BEST = {"rate": 0.01, "optimizer": "SGD"}
STUDY = {
    "format": "studio9-study", "space": {}, "rungs": [1, 3], "seed": 0, "keep": 0.5, "seeded": True,
    "trials": [
        {"number": 0, "settings": {"rate": 0.5, "optimizer": "AdamW"}, "values": {"1": 0.9}, "state": "pruned"},
        {"number": 1, "settings": BEST, "values": {"1": 0.4, "3": 0.5}, "state": "done", "last": "trial-1.3"},
        {"number": 2, "settings": BEST, "values": {}, "state": "failed", "reason": "out of memory"},
        {"number": 3, "settings": BEST, "values": {"1": 0.3}, "state": "running"},
    ],
    "wanted": [
        {"name": "trial-3.3", "candidate": "trial-3", "settings": BEST, "seed": 0, "epochs": 3, "trial": 3},
        {"name": "winner-2", "candidate": "winner-2", "settings": BEST, "seed": 2, "epochs": 3, "trial": None},
    ],
    "winners": {"1": 0.55},
}  # fmt: skip
RESULT: dict[str, Any] = {
    "framework": "studio9", "winner": 1, "settings": BEST, "values": [0.55, 0.6, 0.5], "mean": 0.55, "spread": 0.04,
    "trials": [{"number": 1, "settings": BEST, "values": {"3": 0.5}, "state": "done"}],
    "parameters": {**CONFIG, "head_parameters": {"epochs": 3, "optimizer": "SGD", "seed": 2},
                   "rates": {"backbone": 0.01, "head": 0.01}},
}  # fmt: skip


@pytest.fixture
async def dataset(ana: Any, albums: dict[str, str]) -> Any:
    body = {"albums": {"train": albums["train"], "val": albums["test"]}}
    return await ana.ok("POST", "/v1/dataset-versions", body)


@pytest.fixture
async def model(ana: Any) -> str:
    return str((await ana.ok("POST", "/v1/models", {"name": "Ships"}))["id"])


def keep(installation: Any, *jobs: Job) -> None:
    """Orion has written these."""
    known = installation.stand_ins.documents.setdefault("jobs", {})
    known.update({job.id: job_document(job) for job in jobs})


async def test_a_search_makes_a_version_of_its_best_model(
    ana: Any, installation: Any, workers: Any, dataset: Any, model: str, until: Any
) -> None:
    body = {"dataset_version_id": dataset["id"], "config": CONFIG, "vary": VARY, "trials": 4, "at_once": 2}
    started = await ana.ok("POST", f"/v1/models/{model}/tune", body)
    job, version = started["tuning_session"], f"/v1/models/{model}/versions/{started['model_version']}"
    request = await workers.take()
    asked: JobRequested = request.data
    assert (asked.job, asked.spec.kind, asked.spec.framework) == (job, "tune", "studio9")
    assert {one.name for one in asked.spec.inputs} == {"train", "val"}
    parameters = TuneParameters.model_validate(asked.spec.parameters)
    assert (parameters.framework, parameters.trials, parameters.at_once, parameters.factor) == ("yolo", 4, 2, 3)
    assert parameters.train.head_parameters == {"epochs": 3} and set(parameters.vary) == {"rate", "optimizer"}
    assert (await ana.ok("GET", version))["status"] == "TRAINING"
    path = f"/v1/tuning-sessions/{job}"
    assert (await ana.ok("GET", path))["session"]["status"] == "QUEUED", "before Orion has heard of it"

    await workers.start(request)
    prefix = f"{request.organisation}/jobs/{job}"
    await installation.objects.put(f"{prefix}/1/outputs/study.json", json.dumps(STUDY).encode())
    trial = Spec(kind="trial", framework="studio9")
    going_on = Child(job="c-3", name="trial-3.3", spec=trial)
    children = (going_on, Child(job="c-w", name="winner-2", spec=trial, state=State.failed))
    attempts = (
        Attempt(number=1, fence=1, worker="w", assigned_at=TIME, ended_at=TIME, outcome="succeeded"),
        Attempt(number=2, fence=2, worker="w", assigned_at=TIME, ended_at=TIME, outcome="lost"),
    )
    common = {"organisation": request.organisation, "owner": asked.owner, "request_hash": "h"}
    common |= {"created_at": TIME, "updated_at": TIME, "state": State.queued}
    parent = Job(id=job, spec=asked.spec, phase=Phase.backing_off, attempts=attempts, children=children, **common)
    keep(installation, parent, Job(id="c-3", spec=trial, parent=job, phase=Phase.queued, **common))
    session = await ana.ok("GET", path)
    assert session["job"]["waiting"] == "waits for 1 of the 2 children that its task asked for"
    search = session["search"]
    assert (search["trials_wanted"], search["rungs"], search["best"]) == (4, [1, 3], 1), "of those trained for longest"
    assert search["vary"]["rate"] == RATE
    pruned, best, failed, running = search["trials"]
    assert (pruned["state"], pruned["settings"]["rate"], pruned["figure"]) == ("pruned", 0.5, 0.9)
    assert (best["state"], best["values"]) == ("done", {"1": 0.4, "3": 0.5}) and "at_work" not in best
    assert (failed["reason"], "figure" in failed) == ("out of memory", False)
    waits = {"epochs": 3, "job": "c-3", "state": "queued", "waiting": "has just arrived"}
    assert (running["state"], running["at_work"]) == ("running", waits)
    assert search["seeds"] == [
        {"seed": 1, "figure": 0.55}, {"seed": 2, "at_work": {"epochs": 3, "job": "c-w", "state": "failed"}}
    ]  # fmt: skip

    more = (("model", "model.pt", b"the best"), ("study", "study.json", json.dumps(STUDY).encode()))
    await workers.complete(request, result=RESULT, more=more)

    async def done() -> bool:
        return bool((await ana.ok("GET", version))["status"] == "ACTIVE")

    await until(done)
    made = await ana.ok("GET", version)
    assert made["labels"] == ["buoy", "ship"] and made["figures"]["val"]["map50"] == 0.75
    assert made["parameters"]["rates"] == {"backbone": 0.01, "head": 0.01}
    assert made["parameters"]["head_parameters"] == {"epochs": 3, "optimizer": "SGD", "seed": 2}
    assert made["made_from"] == [{"kind": "DATASET_VERSION", "id": dataset["id"], "role": "trained_on", "job": job}]
    session = await ana.ok("GET", path)
    assert session["session"]["status"] == "COMPLETED" and session["session"]["progress"] == 1.0
    artifacts = {one["name"]: one for one in session["artifacts"]}
    assert artifacts["model.pt"]["sha256"] == made["artifact_sha256"]
    assert (await ana.http.get(artifacts["study.json"]["url"])).json() == STUDY
    assert [one["id"] for one in (await ana.ok("GET", "/v1/tuning-sessions"))["items"]] == [job]
    assert (await ana.ok("GET", "/v1/training-sessions"))["items"] == []
    assert (await ana.send("GET", f"/v1/training-sessions/{job}")).status_code == 404


async def test_a_search_that_does_not_say_its_settings_makes_no_version(
    ana: Any, workers: Any, dataset: Any, model: str, until: Any
) -> None:
    body = {"dataset_version_id": dataset["id"], "config": CONFIG, "vary": VARY}
    started = await ana.ok("POST", f"/v1/models/{model}/tune", body)
    result = {name: value for name, value in RESULT.items() if name != "parameters"}
    more = (("model", "model.pt", b"the best"), ("study", "study.json", json.dumps(STUDY).encode()))
    await workers.complete(await workers.take(), result=result, more=more)

    async def over() -> bool:
        return bool((await ana.ok("GET", f"/v1/jobs/{started['tuning_session']}"))["status"] == "FAILED")

    await until(over)
    version = await ana.ok("GET", f"/v1/models/{model}/versions/{started['model_version']}")
    assert version["status"] == "ERROR"
    told = (await ana.ok("GET", f"/v1/tuning-sessions/{started['tuning_session']}"))["session"]
    assert "earlier version" in str(told), told


async def test_whoever_watches_a_search_hears_of_its_trials(
    ana: Any, installation: Any, workers: Any, dataset: Any, model: str, until: Any
) -> None:
    body = {"dataset_version_id": dataset["id"], "config": CONFIG, "vary": VARY}
    job = (await ana.ok("POST", f"/v1/models/{model}/tune", body))["tuning_session"]
    request, core = await workers.take(), installation.baile.core
    user = request.data.owner

    async def told() -> list[Any]:
        async with core.database.read(request.organisation) as work:
            rows = await work.events.after(0, user, 1000)
        return [row.data for row in rows if row.type == "process" and row.data["id"] == job]

    for known, event in enumerate((
        JobQueued(job="child", kind="trial", parent=job, time=TIME, attempt=0),
        JobProgress(job="child", kind="trial", parent=job, time=TIME, attempt=1, fence=1, progress=0.5),
    )):  # fmt: skip
        await workers.publish(event, request.organisation)

        async def more(known: int = known) -> bool:
            return len(await told()) > known

        await until(more)
    assert (await told())[-1]["status"] == "QUEUED", "a child's news are not the search's"


async def test_a_search_is_cancelled(ana: Any, bo: Any, workers: Any, dataset: Any, model: str, until: Any) -> None:
    body = {"dataset_version_id": dataset["id"], "config": CONFIG, "vary": VARY, "compute_profile_id": "gpu"}
    started = await ana.ok("POST", f"/v1/models/{model}/tune", body)
    job = started["tuning_session"]
    request = await workers.take()
    assert request.data.spec.requirements.gpus == 1
    assert (await bo.send("POST", f"/v1/jobs/{job}/cancel")).status_code == 404
    assert (await ana.send("POST", f"/v1/jobs/{job}/cancel")).status_code == 204
    while not isinstance((await workers.take()).data, JobCancel):
        pass  # the request, which nobody has accepted, is made again
    await workers.end(request, JobCancelled)

    async def over() -> bool:
        return bool((await ana.ok("GET", f"/v1/tuning-sessions/{job}"))["session"]["status"] == "CANCELLED")

    await until(over)
    path = f"/v1/models/{model}/versions/{started['model_version']}"
    assert (await ana.ok("GET", path))["status"] == "CANCELLED"
    assert (await ana.send("POST", f"/v1/jobs/{job}/cancel")).status_code == 404


BETWEEN = {"kind": "float", "low": 0.1, "high": 0.5}


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"dataset_version_id": "unknown"}, "dataset_version_id"),
    ({"compute_profile_id": "moon"}, "compute_profile_id"),
    ({"framework": "moon"}, "framework"),
    ({"config": {**CONFIG, "head": "NONE"}}, "config.head"),
    ({"config": {**CONFIG, "head_parameters": {"epochs": 0}}}, "config.head_parameters.epochs"),
    ({"trials": 0}, "trials"),
    ({"trials": 201}, "trials"),
    ({"at_once": 9}, "at_once"),
    ({"factor": 1}, "factor"),
    ({"vary": {}}, "vary"),
    ({"vary": {"colour": BETWEEN}}, "vary.colour"),
    ({"vary": {"epochs": {"kind": "int", "low": 1, "high": 9}}}, "vary.epochs"),
    ({"vary": {"rate": {**RATE, "low": 0.2}}}, "vary.rate"),
    ({"vary": {"rate": {**RATE, "low": 0}}}, "vary.rate"),
    ({"vary": {"rate": {**RATE, "high": 2}}}, "vary.rate"),
    ({"vary": {"rate": {"kind": "one_of", "values": ["fast"]}}}, "vary.rate"),
    ({"vary": {"rate": {"kind": "sometimes"}}}, "vary.rate"),
    ({"vary": {"rate": {**RATE, "lgo": True}}}, "vary.rate"),
    ({"vary": {"optimizer": {"kind": "one_of", "values": ["SGD"], "low": 1}}}, "vary.optimizer"),
    ({"vary": {"optimizer": BETWEEN}}, "vary.optimizer"),
    ({"vary": {"optimizer": {"kind": "one_of", "values": ["AdamW", "Magic"]}}}, "vary.optimizer"),
    ({"vary": {"optimizer": {"kind": "one_of", "values": ["SGD"]}, "momentum": {**BETWEEN, "high": 2}}},
     "vary.momentum"),
    ({"vary": {**VARY, "momentum": BETWEEN}}, "vary.momentum"),
    ({"code": "c1"}, "entry"),
    ({"search": {}}, "search"),
]  # fmt: skip


async def test_what_cannot_be_searched_is_refused_before_it_is_queued(
    ana: Any, workers: Any, dataset: Any, model: str
) -> None:
    for change, field in REFUSED:
        body = {"dataset_version_id": dataset["id"], "config": CONFIG, "vary": VARY, **change}
        refused = await ana.send("POST", f"/v1/models/{model}/tune", json=body)
        assert refused.status_code == 400, (change, refused.text)
        assert refused.json()["field"].startswith(field) and refused.json()["fix"], (change, refused.text)
    assert await workers.take_all(timeout_s=0.05) == []
    assert (await ana.ok("GET", f"/v1/models/{model}/versions"))["items"] == []


async def test_a_search_needs_pictures_to_compare_on_and_a_worker_that_searches(
    ana: Any, bo: Any, installation: Any, albums: dict[str, str], dataset: Any, model: str, png: Any
) -> None:
    few = await ana.ok("POST", "/v1/dataset-versions", {"albums": {"train": albums["train"]}})
    body = {"dataset_version_id": few["id"], "config": CONFIG, "vary": VARY}
    refused = (await ana.send("POST", f"/v1/models/{model}/tune", json=body)).json()
    assert refused["field"] == "dataset_version_id" and "`val`" in refused["fix"]
    album = (await ana.ok("POST", "/albums", {"name": "Film", "labelMode": "LOCALIZATION"}))["id"]
    for number in range(5):  # the same bytes are of one origin, as the frames of a video are
        await ana.upload(album, f"same_{number}", png(64, 48, (9, 9, 9)))
    labels = {"file": ("labels.csv", b"same_0,ship,10,10,30,30\n", "text/csv")}
    await ana.ok("POST", f"/albums/{album}/uploadLabels", files=labels)
    film = await ana.ok("POST", "/v1/dataset-versions", {"albums": {"train": album}})
    body["dataset_version_id"] = film["id"]
    refused = (await ana.send("POST", f"/v1/models/{model}/tune", json=body)).json()
    assert "one origin" in str(refused) and "`val`" in refused["fix"], refused
    await ana.upload(album, "other", png(64, 48, (1, 2, 3)))
    two = await ana.ok("POST", "/v1/dataset-versions", {"albums": {"train": album}})
    await ana.ok("POST", f"/v1/models/{model}/tune", {**body, "dataset_version_id": two["id"]})
    assert (await bo.send("POST", f"/v1/models/{model}/tune", json=body)).status_code == 404
    worker = installation.stand_ins.documents["workers"]["w1"]
    await installation.stop()
    installation.stand_ins.documents["workers"]["w1"] = worker | {"catalogue": worker["catalogue"] | {"tasks": []}}
    await installation.start()
    body["dataset_version_id"] = dataset["id"]
    refused = (await installation.signed_in("ana").send("POST", f"/v1/models/{model}/tune", json=body)).json()
    assert refused["field"] == "vary" and "No worker searches" in refused["detail"]
