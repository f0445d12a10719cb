"""What Baile owes others: requests to the bus until they have done their work, values to Argo until it has them."""

from collections.abc import Sequence
from typing import Any

import pytest

from studio9_baile.jobs.config import ConfigWriter
from studio9_baile.jobs.outbox import Publisher
from studio9_baile.models.jobs import ConfigWrite
from studio9_common.bus.port import Bus, BusUnavailable, Outgoing
from studio9_common.contracts.job import State
from studio9_common.contracts.messages import JobAccepted, JobCancel, JobRequested
from studio9_common.ids import new_id
from studio9_common.times import format_time


class Killed(BaseException):
    """The process is gone at this point."""


class Between:
    """The bus, until something happens between its confirm and what Baile writes down."""

    def __init__(self, bus: Bus, happens: BaseException, *, before: bool = False) -> None:
        self._bus, self._happens, self._before = bus, happens, before

    async def publish_many(self, messages: Sequence[Outgoing]) -> Any:
        if not self._before:
            await self._bus.publish_many(messages)
        raise self._happens


async def test_a_request_is_published_again_until_it_is_accepted(
    installation: Any, ana: Any, orion: Any, asked: Any, until: Any
) -> None:
    process = await asked(ana)
    first, second = await orion.hear(), await orion.hear()
    assert first.id == second.id and first.organisation == process.organisation
    assert isinstance(first.data, JobRequested) and first.data.job == process.id
    now = format_time(installation.baile.core.clock.now())
    await orion.tell(process.organisation, JobAccepted(job=process.id, kind="evaluate", time=now, state=State.queued))
    await until(lambda: settled(installation, process))
    await orion.hear_all()
    assert await Publisher(installation.baile.core, installation.bus).step() is False


async def settled(installation: Any, process: Any) -> bool:
    async with installation.baile.core.database.read(process.organisation) as work:
        row = work.outbox.row
        return not await work.outbox.count(row.job == process.id, row.settled_at.is_(None))


async def test_killed_between_confirm_and_write_it_is_only_repeated(
    installation: Any, ana: Any, orion: Any, asked: Any
) -> None:
    await installation.baile._background.stop()
    process = await asked(ana)
    core = installation.baile.core
    with pytest.raises(Killed):
        await Publisher(core, Between(installation.bus, Killed())).step()  # type: ignore[arg-type]
    async with core.database.read(process.organisation) as work:
        assert [row.times for row in await work.outbox.all()] == [0]
    await installation.bus.close()
    await core.database.close()  # as the end of its process does
    await installation.start()
    await installation.bus.declare(orion.queue)
    first, second = await orion.hear(), await orion.hear()
    assert first.id == second.id and first.data == second.data


async def test_nothing_is_lost_while_the_bus_is_away(installation: Any, ana: Any, orion: Any, asked: Any) -> None:
    await installation.baile._background.stop()
    process = await asked(ana)
    core = installation.baile.core
    away = Between(installation.bus, BusUnavailable(), before=True)
    with pytest.raises(BusUnavailable):
        await Publisher(core, away).step()  # type: ignore[arg-type]
    assert await Publisher(core, installation.bus).step() is False
    assert (await orion.hear()).data.job == process.id


async def test_what_orion_has_not_accepted_is_a_metric(
    installation: Any, ana: Any, orion: Any, asked: Any, until: Any
) -> None:
    async def waiting() -> str:
        text = (await installation.http().get("/metrics")).text
        return str(next(line for line in text.splitlines() if line.startswith("studio9_requests_unaccepted ")))

    assert await waiting() == "studio9_requests_unaccepted 0.0"
    process = await asked(ana)
    assert await waiting() == "studio9_requests_unaccepted 1.0"
    now = format_time(installation.baile.core.clock.now())
    await orion.tell(process.organisation, JobAccepted(job=process.id, kind="evaluate", time=now, state=State.queued))
    await until(lambda: settled(installation, process))
    assert await waiting() == "studio9_requests_unaccepted 0.0"


async def test_a_request_that_nobody_takes_waits(installation: Any, ana: Any, orion: Any, asked: Any) -> None:
    await installation.bus.delete(orion.queue.name)
    process = await asked(ana)
    assert not await settled(installation, process)
    await installation.bus.declare(orion.queue)
    assert (await orion.hear()).data.job == process.id


async def test_a_cancel_goes_out_until_the_job_has_ended(
    installation: Any, ana: Any, bo: Any, orion: Any, asked: Any
) -> None:
    process = await asked(ana)
    await bo.refused(404, "POST", f"/processes/{process.id}/cancel")
    assert await ana.ok("POST", f"/processes/{process.id}/cancel") == {"id": process.id}
    assert await ana.ok("POST", f"/processes/{process.id}/cancel") == {"id": process.id}
    heard = [await orion.hear() for _ in range(6)]
    cancels = [one for one in heard if isinstance(one.data, JobCancel)]
    assert len(cancels) > 1 and len({one.id for one in cancels}) == 1
    assert (await ana.ok("GET", f"/processes/{process.id}"))["status"] == "QUEUED"


# --- configuration ---------------------------------------------------------------------------------------------


async def write(installation: Any, organisation: str, key: str, *values: Any) -> None:
    # In the order of their ids, which tell apart what was written within one millisecond by chance alone.
    for identifier, value in zip(sorted(new_id() for _ in values), values, strict=True):
        async with installation.baile.core.database.write(organisation) as work:
            row = ConfigWrite(
                id=identifier, organisation=organisation, created_at=work.now, service="taurus", key=key, value=value,
                times=0, next_at=work.now,
            )  # fmt: skip
            work.config_writes.add(row)


async def waiting(installation: Any, organisation: str) -> int:
    async with installation.baile.core.database.read(organisation) as work:
        return int(await work.config_writes.count(work.config_writes.row.settled_at.is_(None)))


def organisation_of(installation: Any, api: Any) -> str:
    return str(installation.baile.core.tokens.read(api.token).organisation)


async def test_the_latest_value_of_a_key_wins_and_waits_for_argo(installation: Any, ana: Any) -> None:
    await installation.baile._background.stop()
    lab, stand_ins, core = organisation_of(installation, ana), installation.stand_ins, installation.baile.core
    stand_ins.away = True
    await write(installation, lab, "stream_a", {"v": 1}, {"v": 2})
    await write(installation, lab, "stream_b", {"v": 9}, None)
    writer = ConfigWriter(core)
    with pytest.raises(Exception, match=r"argo|away|503"):
        await writer.step()
    assert await waiting(installation, lab) == 4
    stand_ins.away = False
    assert await writer.step() is False
    assert await waiting(installation, lab) == 0
    assert stand_ins.config == {(lab, "taurus", "stream_a"): {"v": 2}}
    await write(installation, lab, "stream_a", None)
    await writer.step()
    assert stand_ins.config == {}


async def test_a_slow_instance_cannot_leave_an_old_value_behind(installation: Any, ana: Any) -> None:
    await installation.baile._background.stop()
    lab, core = organisation_of(installation, ana), installation.baile.core
    await write(installation, lab, "stream_a", {"v": 1})
    async with core.database.system(writing=False) as work:
        (old,) = await work.due_config(10)
    await write(installation, lab, "stream_a", {"v": 2})
    await ConfigWriter(core).step()
    # Only now the slow one has its value written, and says so.
    await core.argo.save("taurus", "stream_a", {"v": 1}, scope="organisation", organisation=lab)
    async with core.database.system() as work:
        await work.settle_config(old)
    await ConfigWriter(core).step()
    assert installation.stand_ins.config[lab, "taurus", "stream_a"] == {"v": 2}
    assert await waiting(installation, lab) == 0
