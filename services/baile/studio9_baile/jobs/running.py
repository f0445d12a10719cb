"""All background work of Baile: started and stopped together."""

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from contextlib import suppress

from studio9_baile.bell import CONFIG, DELIVERIES, EVENTS, MERGES, OUTBOX, RESULTS, TRANSFERS, UPLOADS
from studio9_baile.core import Core
from studio9_baile.jobs.config import ConfigWriter
from studio9_baile.jobs.delivering import Deliverer
from studio9_baile.jobs.finishing import Finisher
from studio9_baile.jobs.forgetting import Forgetter
from studio9_baile.jobs.hearing import JOBS_QUEUE, PROGRESS_QUEUE, Hearing
from studio9_baile.jobs.keys_sweeping import KeysSweeper
from studio9_baile.jobs.loop import Loop
from studio9_baile.jobs.merging import Merger
from studio9_baile.jobs.outbox import Publisher
from studio9_baile.jobs.rereading import Rereader
from studio9_baile.jobs.streams import StreamFinder
from studio9_baile.jobs.sweeping import Sweeper
from studio9_baile.jobs.tallying import Tallier
from studio9_baile.jobs.transferring import Transferrer
from studio9_baile.models.records import BucketRow
from studio9_common.bus.port import Bus
from studio9_common.bus.subscriber import Subscriber
from studio9_common.config import LiveConfig
from studio9_common.errors import Unavailable
from studio9_common.tracing import Tracer

NOT_AT_FIRST_S = 60.0
"""How long what is done rarely, and looks at everything, leaves a start to the requests that wait for it."""


def _rare(name: str, step: Callable[[], Awaitable[bool]], *, every_s: float) -> Loop:
    return Loop(name, step, every_s=every_s, first_s=min(every_s, NOT_AT_FIRST_S))


class Background:
    """See the module's docstring."""

    def __init__(self, core: Core, bus: Bus, config: LiveConfig, tracer: Tracer) -> None:
        self._core, self._config = core, config
        bell, hearing = core.database.bell, Hearing(core, tracer)
        self.subscribers = (
            Subscriber(bus, JOBS_QUEUE, hearing.jobs, batch=50),
            Subscriber(bus, PROGRESS_QUEUE, hearing.progress, batch=100),
        )
        self._loops = (
            Loop(OUTBOX, Publisher(core, bus).step, every_s=1.0, bell=bell),
            Loop(CONFIG, ConfigWriter(core).step, every_s=1.0, bell=bell),
            Loop(RESULTS, Finisher(core).step, every_s=1.0, bell=bell),
            Loop(MERGES, Merger(core).step, every_s=1.0, bell=bell),
            Loop(TRANSFERS, Transferrer(core).step, every_s=1.0, bell=bell),
            Loop(EVENTS, core.watch.step, every_s=1.0, bell=bell),
            Loop("reread", Rereader(core).step, every_s=core.settings.reread_s),
            Loop("streams", StreamFinder(core).step, every_s=core.settings.reread_s),
            Loop(DELIVERIES, Deliverer(core).step, every_s=5.0, bell=bell),
            Loop(UPLOADS, core.uploads.step, every_s=1.0, bell=bell),
            Loop("tallies", Tallier(core).step, every_s=5.0),
            _rare("orphans", Sweeper(core).step, every_s=core.settings.sweep_s),
            _rare("forget", Forgetter(core).step, every_s=3600.0),
            _rare("keys", KeysSweeper(core).step, every_s=3600.0),
        )

    def ended(self) -> list[str]:
        """The names of the main tasks that have ended although nobody stopped them."""
        queues = [one.queue.name for one in self.subscribers if one.ended]
        return queues + [loop.name for loop in self._loops if loop.ended]

    async def start(self) -> None:
        """Cleans up after a crash, and begins."""
        await asyncio.to_thread(self._clear)
        async with self._core.database.system() as work:
            if self._core.database.alone:
                await work.release_results()
            offered = {bucket.id: bucket for bucket in self._core.settings.buckets}
            for known in await work.buckets():
                known.offered = known.id in offered
            for bucket in offered.values():
                row = BucketRow(id=bucket.id, name=bucket.name, region=bucket.region, offered=True)
                await work.put_bucket(row)
        await self._config.start()
        for subscriber in self.subscribers:
            await subscriber.start()
        for loop in self._loops:
            loop.start()

    def _clear(self) -> None:
        shutil.rmtree(self._core.settings.work_dir, ignore_errors=True)

    async def stop(self) -> None:
        """Gives back what is in hand."""
        await asyncio.gather(*(subscriber.stop() for subscriber in self.subscribers))
        self._core.uploads.stop()
        await asyncio.gather(*(loop.stop() for loop in self._loops))
        with suppress(Unavailable):
            await self._core.uploads.tell()
        await self._config.stop()
