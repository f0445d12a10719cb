"""The way of pictures through Taurus: claimed once, batched, asked for until accepted, announced; nothing lost."""

import hashlib
from collections.abc import Callable

from studio9_common.streams.events import ObjectCreated, build_event
from studio9_common.tracing import trace_for

from .conftest import QUEUE, World, until

Pictures = Callable[[int], bytes]


async def empty(world: World) -> bool:
    return await world.streams.depth(QUEUE) == 0


async def test_dropped_pictures_become_one_job_and_one_notification(world: World, picture: Pictures) -> None:
    stream = await world.stream(prefix="line1/")
    await world.start()
    for number in range(3):
        world.drop(f"line1/ü {number}.png", picture(number))
    world.drop("line2/other.png", picture(9))
    await until(lambda: _accepted(world, 3))
    ((organisation, wanted),) = [one for one in world.orion.requested if one[1].job in world.orion.accepted][:1]
    assert (organisation, wanted.owner, wanted.spec.kind) == ("acme", "u1", "predict")
    given = wanted.spec.provenance
    assert (given.source, given.stream, given.model_id, given.model_version) == ("online", stream, "m1", "mv1")
    assert wanted.context["album"] == "album1"
    assert [one.name for one in wanted.spec.inputs if one.kind == "file"] == ["model"]
    for record in await world.records(wanted):
        number = int(record["filename"].split()[1][0])
        assert await world.objects.get(record["key"]) == picture(number)
        assert record["key"] == f"acme/pictures/{hashlib.sha256(picture(number)).hexdigest()}"
        assert (record["width"], record["height"], record["filename"]) == (32, 24, f"ü {number}.png")
    await until(lambda: empty(world))
    assert await world.notifications() == []
    for job in list(world.orion.accepted):
        await world.orion.finish(job)
        await world.orion.finish(job)
    told: list[dict[str, object]] = []

    async def announced() -> bool:
        told.extend(await world.notifications())
        return len(told) == len(world.orion.accepted)

    await until(announced)
    assert {one["job"] for one in told} == set(world.orion.accepted)
    assert {(one["stream"], one["state"], one["organisation"]) for one in told} == {(stream, "completed", "acme")}
    world.drop("line1/last.png", picture(4))
    await until(lambda: _accepted(world, 4))
    last = next(job for job in world.orion.accepted if job not in {one["job"] for one in told})
    await world.orion.finish(last)

    async def last_announced() -> bool:
        told.extend(await world.notifications())
        return last in {one["job"] for one in told}

    await until(last_announced)
    assert len(told) == len({one["job"] for one in told}), "each job is announced once"

    async def traced() -> bool:
        return all(sum(one.name == name for one in world.spans) >= len(told) for name in ("batch", "job.completed"))

    await until(traced)
    batches = {str(one.attributes["job"]): one for one in world.spans if one.name == "batch"}
    assert set(batches) == {one["job"] for one in told}
    for job, span in batches.items():
        assert (span.trace, span.parent, span.attributes["state"]) == (trace_for(job), "", "completed")
    heard = [one for one in world.spans if one.name == "job.completed"]
    assert {one.trace.trace_id for one in heard} == {one.trace.trace_id for one in batches.values()}


async def _accepted(world: World, pictures: int) -> bool:
    return len(await world.predicted()) == pictures


async def test_a_message_is_deleted_only_when_its_job_is_accepted(world: World, picture: Pictures) -> None:
    await world.stream()
    world.orion.may_accept.clear()
    await world.start()
    world.drop("a.png", picture(1))

    async def asked_twice() -> bool:
        return len(world.orion.requested) >= 2

    await until(asked_twice)
    assert await world.streams.depth(QUEUE) == 1
    assert len({wanted.job for _, wanted in world.orion.requested}) == 1, "the same job is asked for again"
    world.orion.may_accept.set()
    await until(lambda: empty(world))
    assert await world.predicted() == ["a.png"]


async def test_a_restart_goes_on_where_it_was(world: World, picture: Pictures) -> None:
    await world.stream()
    world.orion.may_accept.clear()
    await world.start()
    for number in range(3):
        world.drop(f"{number}.png", picture(number))

    async def asked() -> bool:
        return bool(world.orion.requested)

    await until(asked)
    await world.stop()
    world.orion.may_accept.set()
    await world.start()
    await until(lambda: _accepted(world, 3))
    for job in list(world.orion.accepted):
        await world.orion.finish(job)
    await world.stop()
    await world.start()
    told: list[dict[str, object]] = []

    async def announced() -> bool:
        told.extend(await world.notifications())
        return sum(int(str(one["pictures"])) for one in told) == 3

    await until(announced)
    await until(lambda: empty(world), 30)
    assert await world.predicted() == ["0.png", "1.png", "2.png"]


async def test_the_same_event_many_times_is_one_picture(world: World, picture: Pictures) -> None:
    await world.stream()
    world.drop("a.png", picture(1))
    await world.streams.ensure_queue(QUEUE)
    for _ in range(5):
        await world.event("a.png")
    await world.start()
    await until(lambda: empty(world))
    await world.event("a.png")
    await until(lambda: empty(world))
    assert len(await world.predicted()) == 2, "the event of the watched folder has another version"
    await world.event("a.png", etag="another version")
    await until(lambda: _accepted(world, 3))


async def test_what_is_no_picture_is_refused_and_holds_up_nothing(world: World, picture: Pictures) -> None:
    stream = await world.stream()
    bomb = bytearray(picture(1))
    bomb[16:24] = (100_000).to_bytes(4, "big") * 2
    world.drop("text.png", b"hello")
    world.drop("bomb.png", bytes(bomb))
    world.drop("cut.png", picture(1)[:20])
    world.drop("empty.png", b"")
    world.drop("big.png", picture(1) + b"x" * 2_000)
    world.drop("good.png", picture(2))
    await world.streams.ensure_queue(QUEUE)
    await world.event("gone.png")
    await world.event("../secret.png")
    await world.event("a//b.png")
    await world.event("/etc/passwd")
    (world.buckets / "secret.png").write_bytes(picture(3))
    await world.start(max_picture=1_500)
    await until(lambda: _accepted(world, 1))
    await until(lambda: empty(world))
    assert await world.predicted() == ["good.png"]
    claims = [one async for one in world.claims.search_all("claims", fresh=True) if one.body["state"] == "refused"]
    reasons = {one.body["claim"]["key"]: one.body["claim"]["reason"] for one in claims}
    assert set(reasons) >= {"text.png", "bomb.png", "cut.png", "empty.png", "big.png", "gone.png", "../secret.png"}
    assert all(one.body["stream"] == stream for one in claims)


async def test_what_is_no_event_is_set_aside_and_test_events_are_dropped(world: World, picture: Pictures) -> None:
    await world.stream()
    await world.streams.ensure_queue(QUEUE)
    await world.streams.send(QUEUE, "not an event at all")
    await world.streams.send(QUEUE, '{"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "camera"}')
    world.drop("good.png", picture(2))
    await world.start(bad_receives=1)
    await until(lambda: _accepted(world, 1))
    await until(lambda: empty(world))
    (dead,) = await world.streams.receive(f"{QUEUE}-dead")
    assert dead.body == "not an event at all"


async def test_streams_of_two_organisations_never_mix(world: World, picture: Pictures) -> None:
    await world.stream(organisation="acme", prefix="a/")
    await world.stream(organisation="globex", prefix="b/", model_version="mv2")
    await world.stream(organisation="globex", prefix="a/shared")
    await world.start()
    world.drop("a/1.png", picture(1))
    world.drop("a/shared.png", picture(2))
    world.drop("b/2.png", picture(3))
    await until(lambda: _accepted(world, 4))
    by_organisation: dict[str, list[str]] = {}
    for job in list(world.orion.accepted.values()):
        for record in await world._of(job):
            by_organisation.setdefault(job.organisation, []).append(record["filename"])
            assert record["key"].startswith(f"{job.organisation}/")
    assert {name: sorted(files) for name, files in by_organisation.items()} == {
        "acme": ["1.png", "shared.png"],
        "globex": ["2.png", "shared.png"],
    }


async def test_a_batch_has_at_most_its_size(world: World, picture: Pictures) -> None:
    await world.stream(batch_size=2)
    for number in range(5):
        world.drop(f"{number}.png", picture(number))
    await world.start(quiet_s=1.0)
    await until(lambda: _accepted(world, 5))
    assert len(world.orion.accepted) >= 3
    assert all([len(await world._of(job)) <= 2 for job in list(world.orion.accepted.values())])


async def test_a_stream_can_be_paused_and_resumed(world: World, picture: Pictures) -> None:
    stream = await world.stream(enabled=False)
    await world.start(paused_s=1)
    world.drop("a.png", picture(1))
    await looked_at(world, 2)
    assert world.orion.requested == []
    await world.stream(id=stream, enabled=True)
    await until(lambda: _accepted(world, 1))
    await until(lambda: empty(world))
    await world.stream(id=stream, enabled=False)
    await until(lambda: _served(world, 0))
    world.drop("b.png", picture(2))
    await looked_at(world, 2)
    assert await world.predicted() == ["a.png"]
    await world.stream(id=stream, enabled=True)
    await until(lambda: _accepted(world, 2))
    assert await world.predicted() == ["a.png", "b.png"]


async def test_pictures_wait_for_a_paused_stream_however_old_they_are(world: World, picture: Pictures) -> None:
    paused = await world.stream(enabled=False)
    await world.stream(organisation="globex")
    (world.buckets / "camera").mkdir(parents=True)
    await world.start(paused_s=1, unmatched_s=1.0)
    await world.streams.ensure_queue(QUEUE)
    world.drop("a.png", picture(1))
    await world.streams.send(QUEUE, build_event(ObjectCreated("camera", "a.png", 1, "e", time="2020-01-01T00:00:00Z")))

    async def globex_has_both() -> bool:
        return len(await world.predicted()) == 2

    await until(globex_has_both)
    await looked_at(world, 2)
    assert {job.organisation for job in list(world.orion.accepted.values())} == {"globex"}
    assert await world.streams.depth(QUEUE) == 2, "the other stream has them, this one has not"
    await world.stream(id=paused, enabled=True)
    await until(lambda: _accepted(world, 4))
    await until(lambda: empty(world))
    organisations = [job.organisation for job in list(world.orion.accepted.values()) for _ in await world._of(job)]
    assert sorted(organisations) == ["acme", "acme", "globex", "globex"]


async def looked_at(world: World, times: int) -> None:
    """Taurus has received that many messages more."""
    assert world.taurus is not None
    counters = world.taurus.intake.counters
    wanted = counters.received + times

    async def received() -> bool:
        return counters.received >= wanted

    await until(received)


async def _served(world: World, streams: int) -> bool:
    assert world.taurus is not None
    return len((await world.taurus._status()).streams) == streams
