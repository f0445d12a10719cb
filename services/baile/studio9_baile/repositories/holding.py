"""Transactions of a request that its caller has named: what it does and what it is answered with are kept together."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from studio9_baile.database import Database
from studio9_baile.repositories.system import SystemWork
from studio9_baile.repositories.work import Work


@dataclass(frozen=True, slots=True)
class _Held:
    work: Work
    session: AsyncSession
    open: AsyncExitStack


class Holding(Database):
    """A database as one request sees it, which uses it from one task. Its last writing transaction is not committed at
    the end of its block (unless it writes aside), but by `settle`, with what is still to be written, or undone by
    `undo`.

    Whatever the request begins after a block commits that one first. So a request whose effect is one transaction, its
    last, is kept whole; of one with several, only the last and the answer are."""

    def __init__(self, of: Database) -> None:
        vars(self).update(vars(of))  # the same connections, locks and counts
        self._held: _Held | None = None

    @property
    def joins(self) -> bool:
        return False

    @asynccontextmanager
    async def read(self, organisation: str) -> AsyncIterator[Work]:
        await self.settle()
        async with super().read(organisation) as work:
            yield work

    @asynccontextmanager
    async def write(self, organisation: str, *, aside: bool = False) -> AsyncIterator[Work]:
        await self.settle()
        if aside:
            async with super().write(organisation, aside=True) as work:
                yield work
            return
        async with AsyncExitStack() as stack:
            session = await stack.enter_async_context(self._transaction())
            work = Work(session, organisation, self._clock.now(), self._target)
            yield work
            await work.finish()
            await session.flush()
            self._held = _Held(work, session, stack.pop_all())

    @asynccontextmanager
    async def system(self, *, writing: bool = True) -> AsyncIterator[SystemWork]:
        await self.settle()
        async with super().system(writing=writing) as work:
            yield work

    async def settle(self, more: Callable[[Work], Awaitable[None]] | None = None) -> bool:
        """Commits what is held, with what `more` writes; whether anything was. Raises Collision, DatabaseUnavailable;
        then nothing is written."""
        held, self._held = self._held, None
        if held is None:
            return False
        async with held.open:
            if more is not None:
                await more(held.work)
            await held.session.commit()
        self.bell.ring(*held.work.rings)
        return True

    async def undo(self) -> None:
        """What is held never was."""
        held, self._held = self._held, None
        if held is not None:
            await held.open.aclose()
