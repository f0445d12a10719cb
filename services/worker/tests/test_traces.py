"""The spans of an attempt's phases: below the attempt, told where somebody wants them and the job has a trace."""

from typing import Any

from studio9_common.contracts.envelope import encode
from studio9_common.contracts.job import Input, ObjectRef, Spec
from studio9_common.contracts.messages import WorkerRun
from studio9_common.ids import new_id
from studio9_common.tracing import Span, Trace, Tracer, new_trace
from studio9_worker.app import build

from .conftest import WORKER, Platform, worker_settings


class Kept(list[Span]):
    """An exporter that keeps the spans."""

    take = list.append


async def start(platform: Platform, spans: Kept, **changes: Any) -> None:
    settings = worker_settings(platform.folder / "worker", **changes)
    platform.service = build(settings, bus=platform.bus, objects=platform.objects, tracer=Tracer(spans))
    await platform.service.start()


async def run(platform: Platform, do: str, trace: Trace | None, *inputs: Input, **parameters: Any) -> str:
    spec = Spec(kind="train", inputs=inputs, parameters={"do": do, **parameters})
    order = WorkerRun(worker=WORKER, job=new_id(), attempt=1, fence=3, spec=spec)
    told = trace.traceparent if trace else None
    await platform.bus.publish(encode(order, source="orion", organisation="acme", traceparent=told))
    return order.job


async def test_each_phase_is_a_span_below_the_attempt(platform: Platform) -> None:
    spans, attempt = Kept(), new_trace()
    await start(platform, spans, cpu_slots=3)
    job = await run(platform, "succeed", attempt)
    await run(platform, "succeed", None)
    await run(platform, "succeed", Trace(attempt.trace_id, attempt.span_id, sampled=False))
    await platform.until(lambda: len(platform.results) == 3)
    assert [(span.name, span.error) for span in spans] == [("staging", ""), ("running", ""), ("uploading", "")]
    assert {(span.trace.trace_id, span.parent) for span in spans} == {(attempt.trace_id, attempt.span_id)}
    assert {tuple(span.attributes.items()) for span in spans} == {(("job", job), ("fence", 3), ("worker", WORKER))}
    times = [moment for span in spans for moment in (span.start, span.end)]
    assert times == sorted(times)
    assert [one.end for one in spans[:2]] == [one.start for one in spans[1:]]


async def test_the_phase_that_failed_says_so(platform: Platform) -> None:
    spans = Kept()
    await start(platform, spans, staging_patience_s=0.1)
    missing = Input(name="data", kind="file", ref=ObjectRef(key="acme/nothing", sha256="0" * 64, size=1))
    for do, inputs in (("succeed", (missing,)), ("exit_three", ()), ("missing", ())):
        await platform.result(await run(platform, do, new_trace(), *inputs), 3)
    assert [(span.name, span.error) for span in spans] == [
        ("staging", "staging_error"), ("uploading", ""),
        ("staging", ""), ("running", "task_failed"), ("uploading", ""),
        ("staging", ""), ("running", ""), ("uploading", "bad_output"),
    ]  # fmt: skip


async def test_the_next_agent_tells_of_what_it_saw(platform: Platform) -> None:
    spans, attempt = Kept(), new_trace()
    await start(platform, Kept())
    job = await run(platform, "train", attempt, wait=True)
    await platform.phase(job, "running")
    await platform.stop_worker()
    await start(platform, spans)
    (platform.task_folder(job, 3) / "go").touch()
    await platform.result(job, 3)
    assert [(span.name, span.parent) for span in spans] == [
        ("running", attempt.span_id),
        ("uploading", attempt.span_id),
    ]
