"""Many writers at once: one winner each round, nothing lost, few commits."""

import asyncio

from studio9_common.documents.port import Documents, VersionConflict

WRITERS = 64


async def test_each_round_has_exactly_one_winner(documents: Documents) -> None:
    version = await documents.create("things", "prize", {"count": 0})

    async def attempt(writer: int, round_: int) -> str | None:
        try:
            return await documents.replace("things", "prize", {"count": round_, "state": str(writer)}, version)
        except VersionConflict:
            return None

    for round_ in range(1, 11):
        outcomes = await asyncio.gather(*(attempt(writer, round_) for writer in range(WRITERS)))
        winners = [writer for writer, outcome in enumerate(outcomes) if outcome]
        assert len(winners) == 1
        stored = await documents.get("things", "prize")
        assert stored.body == {"count": round_, "state": str(winners[0])}
        assert stored.version == outcomes[winners[0]]
        version = stored.version


async def test_no_update_is_lost(documents: Documents) -> None:
    await documents.create("things", "sum", {"count": 0})

    async def add_one() -> None:
        while True:
            stored = await documents.get("things", "sum")
            try:
                await documents.replace("things", "sum", {"count": stored.body["count"] + 1}, stored.version)
                return
            except VersionConflict:
                continue

    await asyncio.gather(*(add_one() for _ in range(WRITERS)))
    assert (await documents.get("things", "sum")).body == {"count": WRITERS}


async def test_one_create_wins(documents: Documents) -> None:
    outcomes = await asyncio.gather(
        *(documents.create("things", "only", {"count": n}) for n in range(WRITERS)), return_exceptions=True
    )
    winners = [n for n, outcome in enumerate(outcomes) if isinstance(outcome, str)]
    assert len(winners) == 1 and sum(isinstance(o, VersionConflict) for o in outcomes) == WRITERS - 1
    assert (await documents.get("things", "only")).body == {"count": winners[0]}


async def test_writes_that_arrive_together_are_committed_together(documents: Documents) -> None:
    await documents.put("things", "warm", {"count": 0})
    before = documents.commits  # type: ignore[attr-defined] # both adapters count them; no part of the port
    await asyncio.gather(*(documents.put("things", f"{n}", {"count": n}) for n in range(400)))
    assert documents.commits - before <= 40  # type: ignore[attr-defined]
    assert await documents.count("things", fresh=True) == 401


async def test_a_cancelled_writer_does_not_disturb_the_others(documents: Documents) -> None:
    tasks = [asyncio.create_task(documents.put("things", f"{n}", {"count": n})) for n in range(50)]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(outcome, str) for outcome in outcomes[1::2])
    found = await documents.get_many([("things", f"{n}") for n in range(1, 50, 2)])
    assert all(found)
