"""Composition of the worker, and its start and stop."""

import asyncio
import fcntl
import json
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any, TextIO

from studio9_common.bus.port import Bus
from studio9_common.bus.subscriber import Subscriber
from studio9_common.clients.argo import ArgoClient
from studio9_common.config import LiveConfig
from studio9_common.contracts.configuration import Entry
from studio9_common.errors import Conflict, Studio9Error
from studio9_common.health import Liveness
from studio9_common.http.app import create_app
from studio9_common.ids import new_id
from studio9_common.live import LiveSettings, live_schemas
from studio9_common.logs import logger
from studio9_common.metrics import Metrics
from studio9_common.metrics_bus import MeasuredBus, measure_queues
from studio9_common.objects.port import Objects
from studio9_common.tasks import end
from studio9_common.times import Clock, SystemClock
from studio9_common.tokens import TokenKeys
from studio9_common.tracing import Tracer
from studio9_worker.agent import Agent
from studio9_worker.announcement import NoCatalogue, ask_catalogue, ask_image
from studio9_worker.beats import Beats
from studio9_worker.cache import InputCache
from studio9_worker.context import Context
from studio9_worker.folders import JobFolders
from studio9_worker.gpus import figures, gpus
from studio9_worker.inbox import Inbox, own_queue
from studio9_worker.metrics import measure_worker
from studio9_worker.routes import router
from studio9_worker.runners.choosing import choose_runner
from studio9_worker.runners.container import ContainerRunner
from studio9_worker.runners.port import Runner
from studio9_worker.settings import WorkerSettings
from studio9_worker.slots import Slots, machine_slots
from studio9_worker.state import WorkerState
from studio9_worker.sweep import sweep_orphans

GIB = 1 << 30
STOP_WITHIN_S = 9.0
BATCH = 64
"""Commands that are taken up together."""
ASK_AGAIN_S = 60.0
ANNOUNCING = "worker-announcement"
"""The only task that ends by itself."""


class StateInUse(Conflict):
    """Another agent works with this state folder; give each worker of a machine its own state_dir."""

    code = "state_in_use"


class WorkerService:
    """See `studio9_common.service.Service`. The bus and the objects belong to whoever gave them."""

    name = "worker"

    def __init__(
        self,
        settings: WorkerSettings,
        bus: Bus,
        objects: Objects,
        argo: ArgoClient | None,
        clock: Clock,
        runner: Runner | None,
        member: bool,
        tracer: Tracer,
    ) -> None:
        self.agent: Agent | None = None
        metrics = Metrics()
        bus = MeasuredBus(bus, metrics)
        self._settings = settings
        self._bus = bus
        self._objects = objects
        self._clock = clock
        self._runner = runner
        self._argo = argo
        self._tracer = tracer
        self._config: LiveConfig | None = None
        if argo is not None:
            file = settings.state_dir / "configuration.json"
            # A member's token changes nothing in Argo, and its broker user has only queues of its own.
            schemas = {} if member else live_schemas(WorkerSettings)
            owner = f"worker.{settings.worker_id}" if member else ""
            self._config = LiveConfig(argo, bus, service=self.name, file=file, schemas=schemas, owner=owner)
        self._live = LiveSettings(settings, self._config)
        self._log = logger(self.name)
        self._subscriber: Subscriber | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._lock: TextIO | None = None
        keys = settings.token_keys.get_secret_value()
        alive = Liveness()
        alive.watch(self._ended)
        measure_worker(metrics, lambda: self.agent)
        measure_queues(metrics, lambda: [self._subscriber] if self._subscriber is not None else [])
        self.asgi = create_app(
            self.name,
            keys=TokenKeys(keys) if keys else None,
            checks={"bus": bus.ping, "objects": objects.ping, "queue": self._check_queue},
            alive=alive,
            metrics=metrics,
            tracer=tracer,
        )
        self.asgi.include_router(router(lambda: self.agent))

    async def _check_queue(self) -> None:
        if self._subscriber is None or not self._subscriber.healthy:
            raise Studio9Error("the worker's queue is not consumed")

    def _ended(self) -> list[str]:
        ended = [task.get_name() for task in self._tasks if task.done() and task.get_name() != ANNOUNCING]
        return [*ended, "commands"] if self._subscriber is not None and self._subscriber.ended else ended

    async def start(self) -> None:
        """Takes up what an earlier agent left, then takes commands, then beats. Raises StateInUse."""
        settings = self._settings
        self._lock = await asyncio.to_thread(_hold, settings.state_dir / "agent.lock")
        state = WorkerState(settings.state_dir / "worker.sqlite")
        await state.open()
        await state.prune(self._clock.now())
        worker = settings.worker_id or await state.fact("worker", lambda _: new_id())
        generation = int(await state.fact("generation", lambda old: str(int(old or 0) + 1), keep=False))
        cache = InputCache(settings.state_dir / "cache", int(settings.cache_gib * GIB))
        await cache.open()
        found = await asyncio.to_thread(gpus) if settings.gpu_slots else ()
        known = json.loads(await state.fact("gpus", lambda _: "{}"))
        slots = machine_slots(settings.cpu_slots, found, settings.label_set, known)
        await state.fact("gpus", lambda _: json.dumps(slots.devices), keep=False)
        if self._runner is None:
            self._runner = await asyncio.to_thread(choose_runner, settings, worker, len(slots.slots))
        context = Context(
            worker=worker,
            settings=settings,
            bus=self._bus,
            objects=self._objects,
            clock=self._clock,
            state=state,
            cache=cache,
            folders=JobFolders(settings.state_dir.absolute() / "jobs"),
            runner=self._runner,
            log=self._log.bind(worker=worker),
            live=self._live,
            argo=self._argo,
            tracer=self._tracer,
        )
        agent = self.agent = Agent(context, slots)
        await agent.recover()
        subscriber = self._subscriber = Subscriber(self._bus, own_queue(worker), Inbox(agent).handle, batch=BATCH)
        await subscriber.start()
        beats = Beats(agent, lambda: subscriber.healthy, generation=generation, instance=new_id())
        self._begin(ANNOUNCING, self._announce(beats))
        self._begin("worker-beats", self._forever(beats.run))
        self._begin("worker-sweep", self._sweep(context))
        self._begin("worker-machine", self._measure(agent))
        await self._follow_configuration(cache)

    async def stop(self) -> None:
        """Takes no more commands. Tasks go on without the agent, or, if the settings say so, are stopped first."""
        if self._subscriber is not None:
            await self._subscriber.stop()
        if self.agent is not None:
            if self._settings.stop_tasks_on_exit:
                await self.agent.stop_tasks(STOP_WITHIN_S)
            await self.agent.close()
        if self._config is not None:
            await self._config.stop()
        await end(*self._tasks)
        if self.agent is not None:
            await self.agent.context.state.close()
        if isinstance(self._runner, ContainerRunner):
            await asyncio.to_thread(self._runner.close)
        if self._lock is not None:
            self._lock.close()

    def _begin(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.append(asyncio.create_task(work, name=name))

    async def _forever(self, work: Callable[[], Awaitable[None]]) -> None:
        """Begins again what failed through us; without beats the worker would be lost with everything on it."""
        while True:
            try:
                await work()
            except Exception:
                self._log.exception("loop_failed")
                await asyncio.sleep(1)

    async def _follow_configuration(self, cache: InputCache) -> None:
        """Last of all: a worker that waits for Argo must beat meanwhile."""
        if self._config is None:
            return

        async def resize(_: Entry) -> None:
            await cache.resize(int(self._live.now().cache_gib * GIB))

        self._config.on_change(resize)
        await self._config.start()
        await cache.resize(int(self._live.now().cache_gib * GIB))

    async def _announce(self, beats: Beats) -> None:
        """Asks the trainers what they can do; until they tell, beats go without it."""
        while True:
            try:
                beats.announce(await self._catalogue())
                return
            except NoCatalogue as error:
                self._log.error("no_catalogue", message=error.message)
                await asyncio.sleep(ASK_AGAIN_S)

    async def _catalogue(self) -> Mapping[str, Any]:
        if isinstance(self._runner, ContainerRunner) and not self._settings.mount_trainers:
            return await ask_image(self._runner)
        return await ask_catalogue(self._settings.command)

    async def _measure(self, agent: Agent) -> None:
        """Keeps what beats tell of the cores and GPUs up to date, and a slot for each GPU that answers."""
        while True:
            found = await asyncio.to_thread(gpus) if self._settings.gpu_slots else ()
            await self._offer(agent, agent.slots.measured(found))
            busy = agent.context.busy.now()
            told = figures(found, agent.slots.devices)
            agent.machine = {**told, **({} if busy is None else {"cores_busy": round(busy, 2)})}
            await asyncio.sleep(self._settings.beat_s)

    async def _offer(self, agent: Agent, now: Slots) -> None:
        """These slots from now on. A new GPU's number is written down first: the next agent knows it by the same."""
        if now.devices != agent.slots.devices:
            await agent.context.state.fact("gpus", lambda _: json.dumps(now.devices), keep=False)
        before, after = {one.id for one in agent.slots.slots}, {one.id for one in now.slots}
        for slot in sorted(before ^ after):
            self._log.warning("gpu_gone" if slot in before else "gpu_found", slot=slot, gpu=now.devices[slot])
        agent.slots = now

    async def _sweep(self, context: Context) -> None:
        while True:
            try:
                await sweep_orphans(context)
            except (OSError, Studio9Error) as error:
                self._log.warning("sweep_failed", reason=str(error))
            await asyncio.sleep(self._settings.sweep_s)


def build(
    settings: WorkerSettings,
    *,
    bus: Bus,
    objects: Objects,
    argo: ArgoClient | None = None,
    clock: Clock | None = None,
    runner: Runner | None = None,
    member: bool = False,
    tracer: Tracer | None = None,
) -> WorkerService:
    """The worker of these settings on these ports. Without `argo` its settings stay as they are; `clock` and `runner`
    are given by tests, else the settings name the runner. `member`: of a machine that joined."""
    clock, tracer = clock or SystemClock(), tracer or Tracer()
    return WorkerService(settings, bus, objects, argo, clock, runner, member, tracer)


def _hold(path: Path) -> TextIO:
    """One agent at a time: its successor would otherwise begin the same attempts beside it. Blocks."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.open("a")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise StateInUse(field="state_dir", value=path.parent) from None
    return file
