"""Several senders find the same queue of a broker failed."""

import asyncio

import pytest

from studio9_common.bus.rabbitmq import mending
from studio9_common.bus.rabbitmq.failures import Unanswered
from studio9_common.bus.rabbitmq.link import Link
from studio9_common.bus.rabbitmq.mending import Mender
from studio9_common.bus.rabbitmq.silence import TRIES

QUEUE = "a"


class SlowLink(Link):
    """A broker that takes its time over a queue, and may lose its connection over it."""

    def __init__(self) -> None:
        super().__init__("amqp://127.0.0.1", "test", prepare=self._nothing)
        self.deleted: list[str] = []
        self.repaired = 0
        self.lost = False

    async def _nothing(self, _: object) -> None:
        return

    async def delete(self, queue: str) -> None:
        self.deleted.append(queue)
        await asyncio.sleep(0)

    async def repair(self) -> None:
        await asyncio.sleep(0)
        if self.lost:
            raise Unanswered("the broker has gone")
        self.repaired += 1


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mending, "PATIENCE_S", 0.0)


async def test_of_many_whose_sending_failed_one_makes_the_queue_anew() -> None:
    link = SlowLink()
    mender = Mender(link)
    tried = await asyncio.gather(*(mender.mended(QUEUE, Unanswered("no confirm")) for _ in range(TRIES + 5)))
    assert (link.deleted, link.repaired) == ([QUEUE], 1)
    assert tried == [False] * (TRIES - 1) + [True] * 6, "each of the others may try again on the new one"
    assert not await mender.mended(QUEUE, Unanswered("no confirm")), "the counting has begun again"


async def test_a_queue_that_works_again_while_somebody_waits_is_left_alone() -> None:
    link = SlowLink()
    mender = Mender(link)
    for _ in range(TRIES - 1):
        assert not await mender.mended("other", Unanswered("no confirm"))
        assert not await mender.mended(QUEUE, Unanswered("no confirm"))
    first = asyncio.create_task(mender.mended("other", Unanswered("no confirm")))
    second = asyncio.create_task(mender.mended(QUEUE, Unanswered("no confirm")))
    await asyncio.sleep(0)
    mender.worked(QUEUE)
    assert await first and await second
    assert link.deleted == ["other"]


async def test_a_queue_that_could_not_be_made_anew_is_so_with_the_next_failure() -> None:
    link = SlowLink()
    mender = Mender(link)
    for _ in range(TRIES - 1):
        assert not await mender.mended(QUEUE, Unanswered("no confirm"))
    link.lost = True
    with pytest.raises(Unanswered):
        await mender.mended(QUEUE, Unanswered("no confirm"))
    link.lost = False
    assert await mender.mended(QUEUE, Unanswered("no confirm"))
    assert (len(link.deleted), link.repaired) == (2, 1)
