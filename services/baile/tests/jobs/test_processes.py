"""Processes on `/v2.0`, in exactly the contract's shapes."""

from datetime import timedelta
from typing import Any

from studio9_baile.models.jobs import ProcessStatus
from studio9_baile.usecases.changes import Kind

QUEUED = {"id", "target", "targetId", "status", "progress", "created", "jobType"}


async def change(installation: Any, process: Any, **values: Any) -> None:
    async with installation.baile.core.database.write(process.organisation) as work:
        row = await work.processes.get(process.id)
        for name, value in values.items():
            setattr(row, name, value)


async def test_the_shapes_of_a_process(installation: Any, ana: Any, asked: Any) -> None:
    process = await asked(ana, job_type="CV_MODEL_TRAIN", target=Kind.EXPERIMENT)
    shown = await ana.ok("GET", f"/processes/{process.id}")
    assert set(shown) == QUEUED
    assert (shown["target"], shown["status"], shown["progress"]) == ("EXPERIMENT", "QUEUED", 0.0)
    now = process.created_at
    await change(installation, process, status=ProcessStatus.RUNNING, started_at=now, progress=0.5, remaining_s=9.5)
    running = await ana.ok("GET", f"/processes/{process.id}")
    assert set(running) == QUEUED | {"started", "estimate"} and running["estimate"] == 10
    # Its job has ended, its result is not there yet.
    await change(installation, process, ended_at=now, remaining_s=None)
    assert set(await ana.ok("GET", f"/processes/{process.id}")) == QUEUED | {"started"}
    await change(installation, process, status=ProcessStatus.COMPLETED, progress=1.0)
    done = await ana.ok("GET", f"/processes/{process.id}")
    assert set(done) == QUEUED | {"started", "completed"} and done["completed"].endswith("Z")
    await change(installation, process, status=ProcessStatus.FAILED, cause="[user_error]: no label")
    failed = await ana.ok("GET", f"/processes/{process.id}")
    assert set(failed) == QUEUED | {"started", "completed", "cause"}
    await change(installation, process, status=ProcessStatus.CANCELLED)
    assert "cause" not in await ana.ok("GET", f"/processes/{process.id}")


async def test_the_list_is_ones_own_paged_sorted_and_narrowed(installation: Any, ana: Any, bo: Any, asked: Any) -> None:
    made = [await asked(ana, job_type=kind) for kind in ("CV_MODEL_TRAIN", "CV_MODEL_PREDICT", "CV_MODEL_TRAIN")]
    begin = made[0].created_at
    for number, process in enumerate(made):
        await change(
            installation,
            process,
            created_at=begin + timedelta(minutes=number),
            started_at=begin + timedelta(hours=3 - number) if number else None,
        )
    ids = [process.id for process in made]

    async def listed(query: str) -> list[str]:
        answer = await ana.ok("GET", f"/processes?{query}")
        assert answer["count"] >= len(answer["data"])
        return [item["id"] for item in answer["data"]]

    assert await listed("order=-created&page=1&page_size=20") == ids[::-1]
    assert await listed("order=created&page=2&page_size=2") == ids[2:]
    assert await listed("order=started") == [ids[2], ids[1], ids[0]]
    assert await listed("jobTypes=CV_MODEL_TRAIN,CV_MODEL_EVALUATE&order=created") == [ids[0], ids[2]]
    day = begin.date().isoformat()
    assert await listed(f"processStarted={day}T00:00:00.000Z,2100-01-01T00:00:00.000Z&order=created") == ids[1:]
    assert await listed("processCompleted=2000-01-01T00:00:00.000Z,2100-01-01T00:00:00.000Z") == []
    for query in ("order=name", "processStarted=yesterday,today", f"processCompleted={day}", "page=0"):
        await ana.refused(400, "GET", f"/processes?{query}")
    assert (await bo.ok("GET", "/processes?order=-created")) == {"data": [], "count": 0}


async def test_another_organisation_and_another_user_get_nothing(
    installation: Any, ana: Any, bo: Any, asked: Any
) -> None:
    process = await asked(ana)
    await bo.refused(404, "GET", f"/processes/{process.id}")
    await bo.refused(404, "POST", f"/processes/{process.id}/cancel")
    await ana.refused(404, "GET", "/processes/unknown")
    await ana.refused(404, "POST", "/processes/unknown/cancel")
    body = {
        "username": "cy", "email": "cy@lab.test", "password": "Correct-horse-9", "firstName": "Cy", "lastName": "Oz",
        "role": "USER",
    }  # fmt: skip
    await ana.ok("POST", "/users", body)
    cy = await installation.sign_in("cy")
    await cy.refused(403, "GET", f"/processes/{process.id}")
    await cy.refused(403, "POST", f"/processes/{process.id}/cancel")
    await change(installation, process, status=ProcessStatus.COMPLETED)
    await ana.refused(404, "POST", f"/processes/{process.id}/cancel")


async def test_an_assets_newest_process(installation: Any, ana: Any, bo: Any, asked: Any) -> None:
    album = (await ana.ok("POST", "/albums", {"name": "Bay", "labelMode": "LOCALIZATION"}))["id"]
    error = await ana.refused(404, "GET", f"/albums/{album}/process")
    assert error["message"] == "Process was not found"
    first = await asked(ana, target=Kind.ALBUM, target_id=album)
    second = await asked(ana, target=Kind.ALBUM, target_id=album)
    await change(installation, second, created_at=first.created_at + timedelta(seconds=1))
    assert (await ana.ok("GET", f"/albums/{album}/process"))["id"] == second.id
    for kind in ("albums", "cv-models", "experiments", "cv-predictions"):
        error = await ana.refused(400, "GET", f"/{kind}/unknown/process")
        assert error["message"].startswith("Process target asset was not found")
    await bo.refused(400, "GET", f"/albums/{album}/process")


async def test_times_that_leave_the_calendar(ana: Any) -> None:
    for given in ("0001-01-01T00:00:00%2B14:00,9999-12-31T23:59:59Z", "2020-01-01T00:00:00Z,9999-12-31T23:59:59-23:59"):
        error = await ana.refused(400, "GET", f"/processes?processCompleted={given}")
        assert error["errors"][0]["field"] == "processCompleted"
