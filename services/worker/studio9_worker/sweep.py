"""Removes what no attempt owns: folders and containers that an agent left behind."""

import asyncio

from studio9_worker.context import Context
from studio9_worker.lease import AttemptKey


async def sweep_orphans(context: Context) -> list[AttemptKey]:
    """The attempts whose remains were removed. One that still runs is stopped first, and removed by a later sweep.

    What is on the disk is listed before the state is read: an attempt is written down before its folder is made, so
    what begins meanwhile is never taken for an orphan.
    """
    found = {*await asyncio.to_thread(context.folders.list), *await context.runner.list()}
    known = {record.key for record in await context.state.attempts()}
    removed = []
    for key in sorted(found - known):
        folder = context.folders.of(key)
        if (await context.runner.find(folder)).state == "running":
            await context.runner.stop(folder)
            context.log.warning("orphan_stopped", job=key.job, fence=key.fence)
            continue
        await context.runner.remove(key)
        await asyncio.to_thread(context.folders.remove, key)
        context.log.info("orphan_removed", job=key.job, fence=key.fence)
        removed.append(key)
    return removed
