"""What is predicted on the frames of a video becomes a video again: a job of its own, which the prediction outlives."""

from dataclasses import replace
from typing import Any

import pytest

from studio9_baile.jobs.sweeping import Sweeper
from studio9_baile.usecases import catalogue
from studio9_common.contracts.messages import JobCancel, JobCancelled, JobFailed
from studio9_common.contracts.reasons import reason
from studio9_task.videos import VideoParameters

from ..buckets import over, s3, server
from .test_predictions import body, done
from .test_videos import BODY, album, offered, take_apart

__all__ = ["album", "offered", "s3", "server"]
KIND = {"kind": "video", "framework": "studio9", "inputs": [{"name": "frames"}]}
FILM = b"predicted film" * 100
RESULT = {"frames": 3, "boxes": 1, "width": 640, "height": 480, "rate": 25.0, "test": None}


class Asked:
    """Requests that came: one may come again."""

    def __init__(self, ana: Any, workers: Any, until: Any) -> None:
        self._ana, self._workers, self._until = ana, workers, until
        self._known: list[Any] = []

    async def other(self) -> Any:
        """The next request for another job."""
        self._known.append(request := await self._workers.other(*self._known))
        return request

    async def predicted(self, model: str, frames: str, **changes: Any) -> tuple[Any, Any]:
        """A prediction that is done, and the request for its video."""
        made = await self._ana.ok("POST", "/cv-predictions", body(model, frames, **changes))
        await self._workers.complete(await self.other())
        finished = await done(self._ana, self._until, made)
        output = await self._ana.ok("GET", f"/albums/{made['output']}")
        assert output["status"] == "ACTIVE" and "video" not in output, "nobody waits for the video"
        return finished, await self.other()


@pytest.fixture
def asked(ana: Any, workers: Any, until: Any) -> Asked:
    """Jobs that are asked for."""
    return Asked(ana, workers, until)


@pytest.fixture
async def frames(
    album: str, model: str, asked: Asked, ana: Any, workers: Any, installation: Any, until: Any, png: Any
) -> str:
    """An album with a video, of which every 25th frame is a picture."""
    await ana.ok("POST", f"/albums/{album}/importVideoFromS3", BODY)
    request = await asked.other()
    await take_apart(workers, installation, request, [png(64, 48, (shade, 0, 0)) for shade in (1, 2)])
    await over(ana, until, f"/albums/{album}")
    labels = {"file": ("l.csv", "filename,label,x-min,y-min,x-max,y-max\nQuay_000025.jpg,ship,1,1,9,9\n", "text/csv")}
    await ana.ok("POST", f"/albums/{album}/uploadLabels", files=labels)
    return album


async def offer(installation: Any, until: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on there is a worker whose trainers make videos."""
    worker = installation.stand_ins.documents["workers"]["w1"]
    tasks = [*worker["catalogue"]["tasks"], KIND]
    installation.stand_ins.documents["workers"]["w1"] = worker | {"catalogue": worker["catalogue"] | {"tasks": tasks}}
    monkeypatch.setattr(catalogue, "FRESH_S", 0.0)

    async def known() -> bool:
        return any(one.kind == "video" for one in (await installation.baile.core.catalogue.current()).tasks)

    await until(known)


async def test_the_album_of_a_prediction_has_a_video(
    frames: str, asked: Asked, ana: Any, model: str, workers: Any, installation: Any, until: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    await check_without(ana, asked, model, frames, workers, until)
    await offer(installation, until, monkeypatch)
    made, request = await asked.predicted(model, frames)
    spec = request.data.spec
    assert (spec.kind, spec.framework, spec.max_run_s) == ("video", "studio9", 3600)
    assert VideoParameters.model_validate(spec.parameters) == VideoParameters(rate=25, every=25, most_bytes=2 << 30)
    assert [(one.name, one.kind) for one in spec.inputs] == [
        ("frames", "pictures"), ("frames/predictions.jsonl", "file"),
    ]  # fmt: skip
    assert sorted(one.frame or 0 for one in (await workers.pictures(request))["frames"]) == [0, 25, 50]
    assert b'"ship"' in await installation.objects.get(spec.inputs[1].ref.key)
    process = await ana.ok("GET", f"/cv-predictions/{made['id']}/process")
    assert (process["id"], process["jobType"], process["target"]) == (
        request.data.job, "CV_MODEL_PREDICT", "CV_PREDICTION",
    )  # fmt: skip
    await workers.complete(request, result=RESULT, more=(("video", "video.mp4", FILM),))

    async def there() -> Any:
        return (await ana.ok("GET", f"/albums/{made['output']}")).get("video")

    video = await until(there)
    assert (video["filename"], video["filesize"]) == ("Quay_predicted.mp4", len(FILM))
    answer = await ana.http.get(video["filepath"], headers={"Range": "bytes=0-8"})
    assert (answer.status_code, answer.content, answer.headers["content-type"]) == (206, b"predicted", "video/mp4")
    await check_outlived(ana, asked, model, frames, workers, until)
    await check_swept(ana, installation, made)


async def check_swept(ana: Any, installation: Any, made: Any) -> None:
    """The video stays as long as its album, and so does the one that the frames are from."""
    core = installation.baile.core
    sweeper = Sweeper(replace(core, settings=core.settings.model_copy(update={"orphan_age_s": 0.0})))
    for left in (2, 1):
        for _ in range(2):  # the first sweep marks, the second removes
            await sweeper.step()
        kept = [one.key async for one in installation.objects.list("") if "/videos/" in one.key]
        assert len(kept) == left
        if left == 2:
            await ana.ok("DELETE", f"/cv-predictions/{made['id']}")


async def check_outlived(ana: Any, asked: Asked, model: str, frames: str, workers: Any, until: Any) -> None:
    """A prediction, or an evaluation, whose video fails or is cancelled is done all the same."""
    made, request = await asked.predicted(model, frames, name="Evaluated", evaluate=True)
    assert request.data.spec.kind == "video", "an evaluation has one, too"
    await workers.end(request, JobFailed, reason=reason("disk_full"))

    async def ended(job: str) -> Any:
        process = await ana.ok("GET", f"/processes/{job}")
        return process if process["status"] not in ("QUEUED", "RUNNING") else None

    process = await until(lambda: ended(request.data.job))
    assert (process["status"], process["cause"].partition(":")[0]) == ("FAILED", "[disk_full]")
    other, second = await asked.predicted(model, frames, name="Other", outputAlbumName=None)
    await ana.ok("POST", f"/processes/{second.data.job}/cancel")
    while not isinstance((await workers.take()).data, JobCancel):
        pass
    await workers.end(second, JobCancelled, reason=reason("cancelled"))
    assert (await until(lambda: ended(second.data.job)))["status"] == "CANCELLED"
    for one in (made, other):
        assert (await ana.ok("GET", f"/cv-predictions/{one['id']}"))["status"] == "DONE"
        output = await ana.ok("GET", f"/albums/{one['output']}")
        assert output["status"] == "ACTIVE" and "video" not in output


async def check_without(ana: Any, asked: Asked, model: str, frames: str, workers: Any, until: Any) -> None:
    """Where nobody makes videos a prediction has none."""
    made = await ana.ok("POST", "/cv-predictions", body(model, frames, name="Without", outputAlbumName=None))
    await workers.complete(request := await asked.other())
    await done(ana, until, made)
    assert {one.data.job for one in await workers.take_all(timeout_s=0.2)} <= {request.data.job}
    assert "video" not in await ana.ok("GET", f"/albums/{made['output']}")
