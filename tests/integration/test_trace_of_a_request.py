"""A training asked for over Baile's API, on the whole platform in one process: its trace from request to end."""

import asyncio
import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from fastapi import FastAPI, Request
from PIL import Image

from studio9_cli.demo.api import Api, ApiError
from studio9_cli.demo.runner import sign_in
from studio9_cli.platform.operators import Operators
from studio9_cli.platform.run import Options, platform
from studio9_cli.platform.state import StateFolder
from studio9_common.service import HttpServer
from studio9_common.tracing import Trace, new_trace, trace_id_of

CATALOGUE: dict[str, Any] = {
    "schema": 1, "version": "1",
    "architectures": [
        {
            "id": "YOLO11N", "name": "YOLO11 nano", "framework": "yolo", "package": "ultralytics",
            "package_version": "8.4.190", "module": "ultralytics.nn.tasks", "class_name": "DetectionModel",
        }
    ],
    "heads": [
        {
            "id": "YOLO_HEAD", "name": "YOLO", "framework": "yolo", "package": "ultralytics", "module": "m",
            "class_name": "Detect", "consumer": "detector", "architectures": ["YOLO11N"],
        }
    ],
    "tasks": [{"kind": "train", "framework": "yolo", "description": None}],
}  # fmt: skip
FAILS = f"""#!{sys.executable}
import sys
if sys.argv[1] == "--catalogue":
    print({json.dumps(json.dumps(CATALOGUE))})
    sys.exit(0)
sys.exit(1)
"""
"""A trainer that offers one model and cannot train it."""


@pytest.fixture
def trainers(tmp_path: Path) -> Path:
    """The interpreter of an environment that holds this trainer."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "studio9-task").write_text(FAILS)
    (folder / "studio9-task").chmod(0o755)
    (folder / "python").symlink_to(sys.executable)
    return folder / "python"


@pytest.fixture(autouse=True)
def logs() -> Iterator[list[Any]]:
    """Every line of every service, from before they are made."""
    with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
        yield lines


async def an_album(api: Api, name: str) -> str:
    album = str((await api.post("/v2.0/albums", {"name": name, "labelMode": "LOCALIZATION"}))["id"])
    for number in range(2):
        out = io.BytesIO()
        Image.new("RGB", (64, 48), (number, len(name), ord(name[1]))).save(out, "PNG")
        await api.upload_picture(album, f"{name}{number}", out.getvalue())
    await api.upload_labels(album, f"{name}0,ship,1,1,9,9\n{name}1,ship,5,5,15,20\n")
    return album


async def asked_for(api: Api) -> None:
    """Asks for a training, as soon as the worker has told what it can do."""
    step = {
        "architecture": "YOLO11N", "featureExtractorParams": {}, "tuneFeatureExtractor": False,
        "modelType": {"tlType": "LOCALIZATION", "detectorType": "YOLO_HEAD"}, "params": {},
        "input": await an_album(api, "train"), "testInput": await an_album(api, "test"), "augmentationOptions": None,
        "trainParams": {
            "inputSize": {"width": 192, "height": 192}, "defaultVisualThreshold": 0.3, "iouThreshold": 0.45,
            "loi": [{"label": "ship", "threshold": 0.4}], "featureExtractorLearningRate": 1e-4,
            "modelLearningRate": 1e-4,
        },
    }  # fmt: skip
    body = {"name": "Ships", "description": None, "type": "CVTLTrain", "pipeline": {"step1": step}}
    for again in range(100):
        try:
            await api.call("POST", "/v2.0/experiments", json=body)
            return
        except ApiError:
            if again == 99:
                raise
            await asyncio.sleep(0.2)


class Collector:
    """Takes spans as an OpenTelemetry collector does."""

    def __init__(self) -> None:
        self.spans: list[tuple[str, dict[str, Any]]] = []
        """The service that told it, and the span."""
        self._server = HttpServer("127.0.0.1", 0)

    async def __aenter__(self) -> str:
        app = FastAPI()

        @app.post("/v1/traces")
        async def take(request: Request) -> dict[str, Any]:
            for resource in (await request.json())["resourceSpans"]:
                service = resource["resource"]["attributes"][0]["value"]["stringValue"].removeprefix("studio9-")
                self.spans += [(service, span) for scope in resource["scopeSpans"] for span in scope["spans"]]
            return {}

        await self._server.start(app)
        return f"http://127.0.0.1:{self._server.port}"

    async def __aexit__(self, *_: object) -> None:
        await self._server.stop()


def ways(spans: list[tuple[str, dict[str, Any]]], trace: Trace) -> set[tuple[str, ...]]:
    """Each span of a trace with all above it, from the request down: `service name`."""
    by_id = {span["spanId"]: (service, span) for service, span in spans if span["traceId"] == trace.trace_id}

    def way(id: str) -> tuple[str, ...]:
        service, span = by_id[id]
        parent = span.get("parentSpanId", "")
        return (*(() if parent == trace.span_id else way(parent)), f"{service} {span['name']}")

    return {way(id) for id in by_id}


async def test_a_job_is_followed_from_its_request_to_its_end_by_logs_and_spans(
    tmp_path: Path, trainers: Path, logs: list[Any]
) -> None:
    state, trace, collector = tmp_path / "state", new_trace(), Collector()
    async with (
        collector as url,
        platform(Options(state=state, trainers_python=trainers, commit="abc", port=0, otlp_url=url)) as running,
    ):
        api = Api(running.baile)
        async with Operators.of(state) as operators:
            await sign_in(api, operators, StateFolder(state))
            api._http.headers["traceparent"] = trace.traceparent
            await asked_for(api)

            async def ended() -> list[dict[str, Any]]:
                jobs = (await operators.service("orion").request("GET", "/v1/jobs")).json()["items"]
                return [job for job in jobs if job["phase"] == "clean"]

            async with asyncio.timeout(60):
                while not (jobs := await ended()):  # noqa: ASYNC110 - it has no event for that
                    await asyncio.sleep(0.1)
            (shown,) = [
                (await operators.service("orion").request("GET", f"/v1/jobs/{job['id']}")).json() for job in jobs
            ]
        await api.close()
    assert trace_id_of(shown["traceparent"]) == trace.trace_id
    assert (shown["state"], shown["reason"]["code"]) == ("failed", "task_failed")
    followed = {(line.get("service"), line["event"]) for line in logs if line.get("trace_id") == trace.trace_id}
    assert {
        ("orion", "job_requested"), ("orion", "job_assigned"), ("worker", "attempt_accepted"),
        ("worker", "attempt_ended"), ("orion", "job_failed"), ("baile", "job_end_heard"),
    } <= followed  # fmt: skip
    job = ("baile POST", "orion job train")
    assert {
        ("baile POST",), job, (*job, "baile job.accepted"), (*job, "baile job.failed"), (*job, "orion attempt 1"),
        (*job, "orion attempt 1", "worker staging"), (*job, "orion attempt 1", "worker running"),
        (*job, "orion attempt 1", "worker uploading"),
    } <= ways(collector.spans, trace)  # fmt: skip
