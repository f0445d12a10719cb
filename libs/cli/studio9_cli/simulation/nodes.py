"""The processes of the simulated installation: Orions and workers, with their starts, crashes and pauses."""

import asyncio
import random
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from studio9_cli.simulation.attempt import epoch_of
from studio9_cli.simulation.bus import SimBus
from studio9_cli.simulation.clock import NodeClock
from studio9_cli.simulation.loop import Node
from studio9_cli.simulation.machine import Disk, Folders, Machine, SimRunner, SimState
from studio9_cli.simulation.objects import SimObjects
from studio9_cli.simulation.plan import SEARCH
from studio9_cli.simulation.recorder import Recorder
from studio9_cli.simulation.searching import asked_by, asks, epochs_of
from studio9_cli.simulation.store import SimStore
from studio9_common.bus.subscriber import Subscriber
from studio9_common.contracts.messages import Slot, WorkerRun
from studio9_orion.core import Answer
from studio9_orion.core.events import PriorityChanged
from studio9_orion.engine import Engine
from studio9_worker.agent import DRAIN, Agent
from studio9_worker.beats import Beats
from studio9_worker.context import Context
from studio9_worker.inbox import Inbox, own_queue
from studio9_worker.lease import AttemptKey
from studio9_worker.slots import Slots, cpu_slots
from studio9_worker.sweep import sweep_orphans

if TYPE_CHECKING:
    from studio9_cli.simulation.world import World

AGAIN_S = 10.0
"""After so long a process that could not begin is begun again."""
CATALOGUE = {"digest": "simulated", "frameworks": ()}
"""What each worker says that its trainers can do."""
MOMENT_S = 1.0
"""So long after it was told a worker may still take what it was about to take."""
HEARTBEAT_S = 60.0
"""After so long a broker takes a silent connection for lost."""


class Process(ABC):
    """What all have in common. `up`: a process is there, be it paused."""

    def __init__(self, world: "World", name: str) -> None:
        self.world, self.name = world, name
        self.clock = NodeClock(world.loop)
        self.rng = random.Random(f"{world.plan.seed}:{name}")
        self.node = Node(name, dead=True)
        self.starts = 0
        self.down_since: float | None = 0.0
        self.bus = SimBus(world.broker, name, self.rng)

    @property
    def up(self) -> bool:
        return not self.node.dead

    def start(self) -> None:
        """Begins anew; harmless where it is up."""
        if self.up:
            return
        self.starts += 1
        self.down_since = None
        self.node = Node(self.name)
        self.world.nodes.append(self.node)
        self.bus = SimBus(self.world.broker, self.name, self.rng)
        self.world.loop.spawn(self.node, self._guarded())

    def crash(self) -> None:
        """Ends at once, with nothing put in order; its connections break."""
        if self.up:
            self.node.dead, self.bus.closed = True, True
            self.down_since = self.world.loop.now
            self.node.held.clear()
            self.world.broker.cut_consumers(self.name)

    def pause(self) -> None:
        """Stops in the middle of whatever it does."""
        if self.up and not self.node.paused:
            self.node.paused = True
            self.world.loop.after(HEARTBEAT_S * self.rng.uniform(1, 2), self._silent, self.node)

    def _silent(self, node: Node) -> None:
        if node.paused and not node.dead:
            self.world.broker.cut_consumers(self.name)

    def resume(self) -> None:
        if self.up and self.node.paused:
            self.world.loop.wake(self.node)

    async def _guarded(self) -> None:
        """As whoever keeps processes running does: one that ends by itself is begun again."""
        try:
            await self._main()
        except Exception as error:
            self.world.on_exception(self.name, error)
            self.world.loop.after(AGAIN_S, self._again, self.node)

    def _again(self, node: Node) -> None:
        if self.node is node:
            self.crash()
            self.start()

    @abstractmethod
    async def _main(self) -> None:
        """What the process does."""


class OrionProcess(Process):
    """One Orion: the real engine on this node's ports."""

    engine: Engine | None = None

    async def move(self, job: str, priority: int) -> bool:
        """Changes a job's priority, as an operator's request to this Orion does; whether it counts."""
        engine = self.engine
        if engine is None:
            return False
        found = await engine.shell.jobs.load(job)
        if found is None:
            return False
        event = PriorityChanged(organisation=found.job.organisation, priority=priority, requested_by="ana")
        applied = await engine.shell.apply([(job, event)])
        return applied.decisions[0].answer in {Answer.applied, Answer.unchanged}

    async def _main(self) -> None:
        world = self.world
        settings = world.orion_settings.model_copy(update={"name": f"{self.name}-{self.starts}"})
        store: Any = SimStore(world.database, self.name, self.rng)
        objects: Any = SimObjects(world.bucket, self.name, self.rng)
        engine = self.engine = Engine(settings, self.bus, store, objects, self.clock)
        engine.rules = world.operator.rules
        await engine.start()


class WorkerProcess(Process):
    """One worker: the real agent on this node's ports, its tasks on a machine that outlives it."""

    def __init__(self, world: "World", name: str, cpus: int, gpus: tuple[float, ...]) -> None:
        super().__init__(world, name)
        cards = (
            Slot(id=f"gpu-{number}", kind="gpu", gpu_memory_gib=gib, gpu_memory_free_gib=gib)
            for number, gib in enumerate(gpus)
        )
        self.slots = Slots((*cpu_slots(cpus).slots, *cards))
        self.machine, self.disk = Machine(world.loop), Disk()
        self.agent: Agent | None = None

    async def _main(self) -> None:
        world = self.world
        state: Any = SimState(self.disk, world.loop, self.rng, lambda: world.weather.full(self.name), self._accepted)
        objects: Any = SimObjects(world.bucket, self.name, self.rng)
        folders: Any = Folders(self.machine)
        context = Context(
            worker=self.name,
            settings=world.worker_settings,
            bus=self.bus,
            objects=objects,
            clock=self.clock,
            state=state,
            cache=folders,
            folders=folders,
            runner=SimRunner(self.machine, self._run_of, self._begun),
            log=Recorder(world.on_exception),
        )
        agent = self.agent = Agent(context, self.slots)
        await agent.recover()
        subscriber = Subscriber(self.bus, own_queue(self.name), Inbox(agent).handle, batch=64)
        await subscriber.start()
        instance = f"{self.name}-{self.starts}"
        beats = Beats(agent, lambda: subscriber.healthy, generation=self.starts, instance=instance)
        beats.announce(CATALOGUE)
        tasks = [asyncio.create_task(self._forever(beats)), asyncio.create_task(self._sweep(context))]
        await asyncio.wait(tasks)

    def _run_of(self, key: AttemptKey) -> tuple[WorkerRun, tuple[int, int], bytes]:
        run = self.disk.attempts[key].run
        return run, epochs_of(run, epoch_of(run.resume)), asked_by(run) if asks(run) else b""

    def _accepted(self, key: AttemptKey) -> None:
        """An attempt is about to be written down."""
        drained_at, told = self.disk.facts_at.get(DRAIN, 0.0), self.disk.facts.get(DRAIN, "")
        here = any(one.job == key.job for one in self.disk.attempts)  # then it only takes over what its job has
        if told.endswith(" draining") and self.world.loop.now > drained_at + MOMENT_S and not here:
            self.world.oracle.problem("broken", f"was taken by {self.name}, which is drained", key.job)

    def _begun(self, key: AttemptKey) -> None:
        """A task is about to begin."""
        slots = set(self.disk.attempts[key].slots)
        beside = [one for one in self.machine.running() if one != key and slots & set(self.disk.attempts[one].slots)]
        self.world.oracle.begun(key, [one for one in self.slots.slots if one.id in slots], beside)
        run = self.disk.attempts[key].run
        if run.spec.kind == SEARCH:
            self.world.oracle.rounds.begun(run, epoch_of(run.resume))

    async def _forever(self, beats: Beats) -> None:
        while True:
            try:
                await beats.run()
            except Exception as error:
                self.world.on_exception("beats", error)
                await asyncio.sleep(1)

    async def _sweep(self, context: Context) -> None:
        while True:
            await sweep_orphans(context)
            await asyncio.sleep(context.settings.sweep_s)
