"""What is asked for at the same moment is done in one go."""

import asyncio
from collections.abc import Sequence

import pytest

from studio9_baile.together import Together


async def test_what_comes_while_a_lot_is_worked_on_is_the_next_lot() -> None:
    lots: list[list[int]] = []
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def doubled(items: Sequence[int]) -> list[int | Exception]:
        lots.append(list(items))
        begun.set()
        await go_on.wait()
        if items == [9]:
            raise ZeroDivisionError
        return [LookupError() if item == 4 else item * 2 for item in items]

    together = Together()
    asked = [asyncio.create_task(together.do("a", 1, doubled))]
    await begun.wait()
    asked += [asyncio.create_task(together.do("a", number, doubled)) for number in (2, 3, 4)]
    other = asyncio.create_task(together.do("b", 9, doubled))
    await asyncio.sleep(0)
    asked[2].cancel()
    go_on.set()
    one, two, three, four = await asyncio.gather(*asked, return_exceptions=True)
    assert (one, two, type(three), type(four)) == (2, 4, asyncio.CancelledError, LookupError)
    with pytest.raises(ZeroDivisionError):
        await other
    assert lots[0] == [1] and [9] in lots and [2, 4] in [[n for n in lot if n != 3] for lot in lots]
    assert await together.do("a", 5, doubled) == 10
