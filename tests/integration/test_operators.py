"""The operators' commands against a running platform, as they are typed; and one job followed by its trace."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from studio9_cli.main import main
from studio9_common.bus import open_bus
from studio9_common.bus.port import Outgoing, Queue
from studio9_common.bus.rabbitmq import topology
from studio9_common.contracts.envelope import decode, encode
from studio9_common.contracts.job import Phase, State
from studio9_common.contracts.messages import JobRequested
from studio9_common.http.app import create_app
from studio9_common.ids import new_id
from studio9_common.service import HttpServer
from studio9_common.tokens import Caller, TokenKeys
from studio9_common.tracing import new_trace, trace_of
from studio9_orion import dead_letter_routes

from .embedded import EmbeddedPlatform
from .requester import Requester


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """What a command prints is not mixed with what the services log."""
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    yield
    structlog.reset_defaults()


class Shell:
    """`studio9 …` against Orion at an address, with an operator's token."""

    def __init__(self, url: str, token: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._options = ["--url", url, "--token-file", str(token)]
        self._capsys = capsys
        self.error = ""

    async def __call__(self, *words: str, status: int = 0) -> str:
        """What the command printed."""
        self._capsys.readouterr()
        assert await asyncio.to_thread(main, [*words, *self._options]) == status, self._capsys.readouterr().err
        out, self.error = self._capsys.readouterr()
        return out

    async def json(self, *words: str) -> Any:
        return json.loads(await self(*words, "--json"))


@pytest.fixture
async def shell(embedded: EmbeddedPlatform, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> AsyncIterator[Shell]:
    token = tmp_path / "operator.token"
    token.write_text(embedded.keys.sign(Caller("operator", "system"), "orion", lifetime_s=600) + "\n")
    server = HttpServer("127.0.0.1", 0)
    await server.start(embedded._running["orion-1"].asgi)
    yield Shell(f"http://127.0.0.1:{server.port}", token, capsys)
    await server.stop()


async def until(state: Callable[[], Awaitable[str]], wanted: str, within_s: float = 20) -> None:
    async with asyncio.timeout(within_s):
        while await state() != wanted:  # noqa: ASYNC110 - a shell command has no event for it
            await asyncio.sleep(0.1)


@pytest.fixture
def asks(embedded: EmbeddedPlatform) -> Requester:
    return embedded.requester


async def test_a_job_that_waited_was_stopped_and_done_again(asks: Requester, shell: Shell) -> None:
    waiting = await asks.submit("nothing", labels=("gpu-room",))
    await asks.in_phase(waiting, Phase.queued)
    listed = await shell("jobs", "list", "--waiting")
    assert waiting in listed and "needs 1 slot labelled gpu-room" in listed

    async def why() -> str:
        return str((await shell.json("jobs", "show", waiting))["why_waiting"])

    await until(why, "needs 1 slot labelled gpu-room; no worker has a slot like that")
    page = await shell("jobs", "show", waiting)
    assert "queued" in page and "why " in page and "no worker has a slot like that" in page
    assert await shell("jobs", "priority", waiting, "7") == "priority 7\n"
    assert "priority 7" in await shell("jobs", "show", waiting)
    assert "cancelled" in await shell("jobs", "cancel", waiting)
    assert (await shell.json("jobs", "show", waiting))["reason"]["message"].startswith("Cancelled by operator ")

    failed = await asks.submit("user_error")
    await asks.clean(failed)
    page = await shell("jobs", "show", failed)
    assert "user/" in page and "The album has no pictures: add some." in page
    assert "failed" in page and "peak" in page.lower()
    events = await shell.json("jobs", "events", failed)
    assert [one["type"] for one in events][:3] == ["requested", "queued", "assigned"]
    assert "user_error" in await shell("jobs", "events", failed)
    answer = await shell("jobs", "retry", failed)
    newer = answer.split()[-1]
    assert (await asks.ended(newer)).retried_from == failed
    assert f"retried from  {failed}" in await shell("jobs", "show", newer)
    assert failed in await shell("jobs", "list", "--only", "failed", "--kind", "train")
    assert "finished first: failed" in await shell("jobs", "cancel", newer)
    await shell("jobs", "show", new_id(), status=1)
    assert "there is no job" in shell.error


async def test_a_worker_is_drained_and_resumed(
    embedded: EmbeddedPlatform, asks: Requester, shell: Shell, tmp_path: Path
) -> None:
    job = await asks.submit("train", parameters={"wait": True, "epochs": 2}, labels=("worker-1",))
    await asks.working(job)
    assert "worker-1" in await shell("workers", "list")
    page = await shell("workers", "show", "worker-1")
    assert job in page and "running" in page
    assert await shell("workers", "drain", "worker-1") == "told to drain\n"

    async def state() -> str:
        return str((await shell.json("workers", "show", "worker-1"))["state"])

    await until(state, "draining")
    await shell("workers", "drain", "worker-1", "--wait", "0.5", status=1)
    other = await asks.submit("nothing", labels=("worker-1",))
    await asks.in_phase(other, Phase.queued)
    embedded.task("worker-1", job).root.joinpath("go").touch()
    await asks.completed(job)
    assert await shell("workers", "drain", "worker-1", "--wait", "30") == "drained\n"
    assert not (await asks.until(other, lambda found: found.phase is Phase.queued)).attempts
    await embedded.kill("worker-1")
    await embedded.start("worker-1")
    await until(state, "drained")
    await shell("workers", "resume", "worker-1")
    await asks.completed(other)
    await shell("workers", "drain", "nobody", status=1)
    assert "there is no worker nobody" in shell.error


async def test_dead_letters_from_a_shell(embedded: EmbeddedPlatform, asks: Requester, shell: Shell) -> None:
    bus = embedded._ports.bus
    queue = Queue("test.given-up.v1", ("test.given-up",))
    await bus.declare(queue)
    job = new_id()
    for number in range(3):
        wanted = encode(asks.request("nothing").model_copy(update={"job": job}), source="test", organisation="acme")
        await bus.publish(type(wanted)("test.given-up", wanted.body, f"m-{number}", headers={"attempt": str(number)}))
    async with bus.consume(queue.name) as consumer:
        for delivery in await consumer.get(3, 5):
            await delivery.dead_letter("ValueError: never")
    listed = await shell("dead-letters", "list", "--queue", queue.name)
    assert listed.count("ValueError: never") == 3 and job in listed
    first, second, third = (await shell.json("dead-letters", "list", "--queue", queue.name))["items"]
    page = await shell("dead-letters", "show", first["id"])
    assert f"attempt={first['message_id'][-1]}" in page and "studio9.job.requested.v1" in page
    assert await bus.depth(queue.name) == 0
    assert "back in test.given-up.v1" in await shell("dead-letters", "replay", first["id"])
    assert "dropped" in await shell("dead-letters", "drop", second["id"])
    assert third["id"] in await shell("dead-letters", "replay", "--queue", queue.name)
    assert await bus.depth(queue.name) == 2
    assert await shell("dead-letters", "list", "--queue", queue.name) == "no dead letters\n"
    await shell("dead-letters", "replay", first["id"], status=1)
    await shell("dead-letters", "drop", status=1)
    assert "Say which" in shell.error


async def test_what_the_broker_itself_gave_up_is_replayed_over_http(
    rabbitmq_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its id is made of the broker's own words, slashes among them."""
    monkeypatch.setattr(topology, "DELIVERY_LIMIT", 1)
    keys, queue = TokenKeys(TokenKeys.generate()), Queue(f"test.{new_id()}.v1")
    app = create_app("orion", keys=keys)
    bus = await open_bus(rabbitmq_url, name="test-operators")
    app.include_router(dead_letter_routes.router(bus))
    server, token = HttpServer("127.0.0.1", 0), tmp_path / "operator.token"
    await server.start(app)
    token.write_text(keys.sign(Caller("operator", "system"), "orion", lifetime_s=600))
    shell = Shell(f"http://127.0.0.1:{server.port}", token, capsys)
    await bus.declare(queue.with_bindings([queue.name]))
    await bus.publish(Outgoing(queue.name, b"not json", "m-1"))
    async with bus.consume(queue.name) as consumer:
        for _ in range(2):
            (delivery,) = await consumer.get(1, 10)
            await delivery.release()

    async def given_up() -> str:
        return str((await shell.json("dead-letters", "list", "--queue", queue.name))["total"])

    await until(given_up, "1")
    (letter,) = (await shell.json("dead-letters", "list", "--queue", queue.name))["items"]
    assert "/" in letter["id"] and letter["reason"] == "delivery_limit" and letter["died_at"]
    assert "not json" in await shell("dead-letters", "show", letter["id"])
    await shell("dead-letters", "replay", letter["id"])
    async with bus.consume(queue.name) as consumer:
        (again,) = await consumer.get(1, 10)
        assert (again.message_id, again.body) == ("m-1", b"not json")
        await again.ack()
    assert await given_up() == "0"
    await server.stop()
    await bus.delete(queue.name)
    await bus.close()


async def test_one_job_is_followed_by_its_trace(embedded: EmbeddedPlatform, asks: Requester) -> None:
    """From the request through Orion, worker and Pegasus: every message, what each of them logs about the job, and the
    spans that each tells."""
    everything = Queue("test.everything.v1", ("job.#", "worker.run.#", "worker.result.#", "worker.telemetry.#"))
    await embedded._ports.bus.declare(everything)
    trace = new_trace()
    pictures = await asks.pictures("predict", "ab.png")
    request: JobRequested = asks.request("predict", kind="predict", inputs=(pictures,))
    with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars]) as logs:
        await asks.bus.publish(
            encode(request, source="baile", organisation=asks.organisation, traceparent=trace.traceparent)
        )
        done = await asks.clean(request.job)
    assert done.state is State.completed and trace_of(done.traceparent) == trace
    expected = {"job.accepted", "worker.run", "worker.result", "job.completed", "job.output"}
    seen: dict[str, set[str | None]] = {}
    async with embedded._ports.bus.consume(everything.name) as consumer:
        while deliveries := await consumer.get(64, 0.1 if expected <= set(seen) else 10):
            for delivery in deliveries:
                envelope = decode(delivery.body)
                if envelope.subject == request.job:
                    found = trace_of(envelope.traceparent)
                    seen.setdefault(envelope.data.routing_key, set()).add(found.trace_id if found else None)
                await delivery.ack()
    assert expected <= set(seen)
    assert set().union(*seen.values()) == {trace.trace_id}
    followed = {(line.get("service"), line["event"]) for line in logs if line.get("trace_id") == trace.trace_id}
    assert {
        ("orion", "job_requested"), ("orion", "job_completed"), ("worker", "attempt_accepted"),
        ("worker", "attempt_ended"), ("pegasus", "loaded"),
    } <= followed  # fmt: skip
    async with asyncio.timeout(10):
        while not any(span.name == "load predictions" for span in embedded.spans):  # noqa: ASYNC110 - told at its end
            await asyncio.sleep(0.02)
    mine = [span for span in embedded.spans if span.trace.trace_id == trace.trace_id]
    above = {trace.span_id: "request"} | {span.trace.span_id: span.name for span in mine}
    assert sorted((above[span.parent], span.name) for span in mine) == [
        ("attempt 1", "running"), ("attempt 1", "staging"), ("attempt 1", "uploading"),
        ("job predict", "attempt 1"), ("job predict", "load predictions"), ("request", "job predict"),
    ]  # fmt: skip
