"""`/v1`: models, dataset versions, training, training sessions; and named requests."""

import asyncio
import json
from typing import Any

import httpx
import pytest

from studio9_common.contracts.messages import JobRequested

CONFIG = {"architecture": "YOLO11N", "head": "YOLO_HEAD", "head_parameters": {"epochs": 3}}


@pytest.fixture
async def dataset(ana: Any, albums: dict[str, str]) -> Any:
    body = {"albums": {"train": albums["train"], "test": albums["test"]}}
    return await ana.ok("POST", "/v1/dataset-versions", body)


async def made_model(ana: Any, name: str = "Ships") -> str:
    return str((await ana.ok("POST", "/v1/models", {"name": name}))["id"])


async def content(installation: Any, url: str) -> bytes:
    async with installation.http() as http:
        answer: httpx.Response = await http.get(url)
        assert answer.status_code == 200, answer.text
        return answer.content


async def test_a_model_is_trained_on_a_dataset_version(
    ana: Any, installation: Any, workers: Any, dataset: Any, until: Any
) -> None:
    model = await made_model(ana)
    body = {"dataset_version_id": dataset["id"], "config": CONFIG}
    started = await ana.ok("POST", f"/v1/models/{model}/train", body)
    assert started["number"] == 1
    request = await workers.take()
    assert isinstance(request.data, JobRequested) and request.data.job == started["training_session"]
    assert request.data.spec.parameters["head_parameters"] == {"epochs": 3}
    assert {one.name for one in request.data.spec.inputs} == {"train", "test"}
    path = f"/v1/models/{model}/versions/{started['model_version']}"
    assert (await ana.ok("GET", path))["status"] == "TRAINING"
    installation.stand_ins.documents["telemetry"] = {
        "t1": {
            "organisation": request.organisation, "job": request.data.job, "items": [
                {"kind": "metric", "time": "2026-11-21T00:00:02Z", "key": "loss", "step": 1, "value": 0.5},
                {"kind": "log", "time": "2026-11-21T00:00:01Z", "level": "info", "message": "begins"},
            ],
        }
    }  # fmt: skip
    await workers.complete(request)

    async def done() -> bool:
        return bool((await ana.ok("GET", path))["status"] == "ACTIVE")

    await until(done)
    version = await ana.ok("GET", path)
    assert version["labels"] == ["buoy", "ship"] and version["dataset_version"] == dataset["id"]
    assert version["made_from"] == [
        {"kind": "DATASET_VERSION", "id": dataset["id"], "role": "trained_on", "job": started["training_session"]}
    ]
    session = await ana.ok("GET", f"/v1/training-sessions/{started['training_session']}")
    assert [one["key"] for one in session["metrics"]] == ["loss"] and session["logs"][0]["message"] == "begins"
    weights = next(one for one in session["artifacts"] if one["name"] == "model.pt")
    assert await content(installation, weights["url"]) == f"weights of {request.data.job}".encode()
    second = await ana.ok("POST", f"/v1/models/{model}/train", body)
    assert second["number"] == 2
    listed = await ana.ok("GET", f"/v1/models/{model}/versions")
    assert [one["number"] for one in listed["items"]] == [2, 1]


async def test_a_failed_training_leaves_its_version_in_error(ana: Any, workers: Any, dataset: Any, until: Any) -> None:
    from studio9_common.contracts.messages import JobFailed

    model = await made_model(ana)
    body = {"dataset_version_id": dataset["id"], "config": CONFIG, "compute_profile_id": "cpu"}
    started = await ana.ok("POST", f"/v1/models/{model}/train", body)
    await workers.end(await workers.take(), JobFailed)

    async def failed() -> bool:
        found = await ana.ok("GET", f"/v1/models/{model}/versions/{started['model_version']}")
        return bool(found["status"] == "ERROR")

    await until(failed)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"dataset_version_id": "unknown"}, "dataset_version_id"),
        ({"compute_profile_id": "moon"}, "compute_profile_id"),
        ({"config": {**CONFIG, "head": "NONE"}}, "config.head"),
        ({"config": {**CONFIG, "head_parameters": {"epochs": 0}}}, "config.head_parameters.epochs"),
        ({"config": {**CONFIG, "rates": {"head": 7}}}, "config.rates.head"),
        ({"config": {"architecture": "VGG16", "head": "FCN_1LAYER"}}, "dataset_version_id"),
        ({"config": {}}, "config.architecture"),
    ],
)
async def test_what_cannot_be_trained_is_refused_before_it_is_queued(
    ana: Any, workers: Any, dataset: Any, change: dict[str, Any], field: str
) -> None:
    model = await made_model(ana)
    body = {"dataset_version_id": dataset["id"], "config": CONFIG, **change}
    refused = await ana.send("POST", f"/v1/models/{model}/train", json=body)
    assert refused.status_code == 400, refused.text
    assert refused.json()["field"] == field and refused.json()["fix"]
    assert await workers.take_all() == []
    assert (await ana.ok("GET", f"/v1/models/{model}/versions"))["items"] == []


async def test_an_idempotency_key_and_an_if_match_go_together(ana: Any, workers: Any, dataset: Any) -> None:
    """A POST on what has changed is refused, and its key can be used again."""
    model = await made_model(ana)
    path, body = f"/v1/models/{model}/train", {"dataset_version_id": dataset["id"], "config": CONFIG}
    seen = (await ana.send("GET", f"/v1/models/{model}")).headers["etag"]
    await ana.ok("PATCH", f"/v1/models/{model}", {"name": "Boats"})
    for _ in range(2):
        refused = await ana.send("POST", path, json=body, headers={"If-Match": seen, "Idempotency-Key": "k1"})
        assert refused.status_code == 412 and "Idempotency-Replayed" not in refused.headers, refused.text
        assert (await ana.ok("GET", f"/v1/models/{model}/versions"))["items"] == []
    known = {"If-Match": refused.json()["current"], "Idempotency-Key": "k1"}
    done = await ana.send("POST", path, json=body, headers=known)
    assert done.status_code == 202 and "Idempotency-Replayed" not in done.headers, done.text
    again = await ana.send("POST", path, json=body, headers=known)
    assert again.json() == done.json() and again.headers["Idempotency-Replayed"] == "true"
    assert len(await workers.take_all(1)) == 1


async def test_a_named_request_is_carried_out_once(ana: Any, workers: Any, dataset: Any) -> None:
    model = await made_model(ana)
    body = {"dataset_version_id": dataset["id"], "config": CONFIG}
    key = {"Idempotency-Key": "train-1"}
    answers = await asyncio.gather(
        *(ana.send("POST", f"/v1/models/{model}/train", json=body, headers=key) for _ in range(4))
    )
    assert {one.status_code for one in answers} <= {202, 409} and any(one.status_code == 202 for one in answers)
    again = await ana.send("POST", f"/v1/models/{model}/train", json=body, headers=key)
    first = next(one for one in answers if one.status_code == 202)
    assert again.json() == first.json() and again.headers["Idempotency-Replayed"] == "true"
    assert len(await workers.take_all(1)) == 1
    other = await ana.send("POST", "/v1/models", json={"name": "other"}, headers=key)
    assert other.status_code == 422 and other.json()["title"] == "idempotency key reused"
    wrong = {"name": ""}
    for _ in range(2):
        refused = await ana.send("POST", "/v1/models", json=wrong, headers={"Idempotency-Key": "k2"})
        assert refused.status_code == 400
    mended = await ana.send("POST", "/v1/models", json={"name": "ok"}, headers={"Idempotency-Key": "k2"})
    assert mended.status_code == 201
    secret = {"name": "t", "scopes": ["read"]}
    assert (await ana.send("POST", "/v1/tokens", json=secret, headers={"Idempotency-Key": "k3"})).status_code == 201
    assert (await ana.send("POST", "/v1/tokens", json=secret, headers={"Idempotency-Key": "k3"})).status_code == 409


async def test_what_waits_and_what_there_is_is_told(ana: Any, bo: Any, workers: Any, dataset: Any) -> None:
    model = await made_model(ana)
    started = await ana.ok("POST", f"/v1/models/{model}/train", {"dataset_version_id": dataset["id"], "config": CONFIG})
    queue = await ana.ok("GET", "/v1/monitoring/queue")
    assert [one["job"] for one in queue["mine"]] == [started["training_session"]] and queue["mine"][0]["why"]
    theirs = await bo.ok("GET", "/v1/monitoring/queue")
    assert (theirs["mine"], theirs["queued"]) == ([], 0)
    assert [one["id"] for one in await ana.ok("GET", "/v1/monitoring/workers")] == ["w1"]
    assert await ana.ok("GET", "/v1/monitoring/gpu") == []
    assert "YOLO11N" in json.dumps(await ana.ok("GET", "/v1/catalogue"))
