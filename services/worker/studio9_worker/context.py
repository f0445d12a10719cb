"""What the parts of the agent share: made once by the composition, passed to whoever needs it."""

from dataclasses import dataclass, field
from typing import Any

from studio9_common.bus.port import Bus
from studio9_common.clients.argo import ArgoClient
from studio9_common.contracts.envelope import encode
from studio9_common.contracts.messages import Message
from studio9_common.live import LiveSettings
from studio9_common.objects.port import Objects
from studio9_common.times import Clock
from studio9_common.tracing import Tracer
from studio9_worker.cache import InputCache
from studio9_worker.folders import JobFolders
from studio9_worker.hop import SharedHop
from studio9_worker.machine import BusyCores
from studio9_worker.runners.port import Runner
from studio9_worker.settings import WorkerSettings
from studio9_worker.state import WorkerState


@dataclass(frozen=True, slots=True)
class Context:
    """`worker` is this worker's id, `hop` takes what is done in moments to a thread."""

    worker: str
    settings: WorkerSettings
    bus: Bus
    objects: Objects
    clock: Clock
    state: WorkerState
    cache: InputCache
    folders: JobFolders
    runner: Runner
    log: Any
    live: LiveSettings[WorkerSettings] | None = None
    argo: ArgoClient | None = None
    busy: BusyCores = field(default_factory=BusyCores)
    tracer: Tracer = field(default_factory=Tracer)
    hop: SharedHop = field(default_factory=SharedHop)

    def settings_for(self, organisation: str) -> WorkerSettings:
        """The settings for work of this organisation, as they are now."""
        return self.live.now(organisation) if self.live is not None else self.settings

    async def publish(
        self,
        message: Message,
        organisation: str,
        *,
        id: str | None = None,
        traceparent: str | None = None,
        needed: bool = True,
    ) -> None:
        """Sends a message. `needed`: raise Unroutable where no queue takes it. Raises BusUnavailable."""
        outgoing = encode(
            message,
            source=f"worker/{self.worker}",
            organisation=organisation,
            id=id,
            traceparent=traceparent,
            now=self.clock.now(),
            mandatory=needed,
            expires_s=self.settings.lease_s if message.transient else None,
        )
        await self.bus.publish(outgoing)
