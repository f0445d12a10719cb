"""Frames of a video in a user's bucket become pictures: fetched here within limits, taken apart by a job."""

import asyncio
import hashlib
import json
from dataclasses import replace
from typing import Any

import pytest

from studio9_baile.jobs.sweeping import Sweeper
from studio9_common.contracts.job import ObjectRef
from studio9_common.contracts.messages import JobCancel, JobCancelled, JobCompleted, JobFailed
from studio9_common.contracts.predictions import AttemptManifest, ManifestFile
from studio9_common.contracts.reasons import reason
from studio9_common.objects.cloud import CloudObjects
from studio9_task.frames import FrameRecord, FramesParameters
from studio9_task.results import FramesResult

from ..buckets import BUCKET, over, s3, server
from .test_lineage import manifests

__all__ = ["s3", "server"]
FRAMES = {"kind": "frames", "framework": "studio9", "inputs": [{"name": "video", "holds": "video"}]}
BODY = {**BUCKET, "S3VideoPath": "clips/Quay.MP4", "frameRateDivider": 25}
VIDEO = b"a film" * 1000


@pytest.fixture
async def offered(installation: Any) -> None:
    """Workers whose trainers take videos apart."""
    worker = installation.stand_ins.documents["workers"]["w1"]
    tasks = [*worker["catalogue"]["tasks"], FRAMES]
    installation.stand_ins.documents["workers"]["w1"] = worker | {"catalogue": worker["catalogue"] | {"tasks": tasks}}


@pytest.fixture
async def album(offered: None, ana: Any, s3: Any) -> str:
    """An empty album, with a video to come from the bucket."""
    s3.put_object(Bucket="harbour", Key=BODY["S3VideoPath"], Body=VIDEO)
    return str((await ana.ok("POST", "/albums", {"name": "Quay", "labelMode": "LOCALIZATION"}))["id"])


async def take_apart(workers: Any, installation: Any, request: Any, contents: list[bytes]) -> None:
    """What the trainers leave: a picture for each frame; the last frame looks like the one before."""
    outputs = [("picture", f"pictures/{hashlib.sha256(one).hexdigest()}", one) for one in contents]
    lines = []
    for number, content in enumerate([*contents, contents[-1]]):
        sha256 = hashlib.sha256(content).hexdigest()
        record = FrameRecord(
            picture_id=f"f{number}", version=sha256, sha256=sha256, key=f"pictures/{sha256}", size=len(content),
            filename=f"Quay_{25 * number:06d}.jpg", width=64, height=48, group="film", frame=25 * number,
        )  # fmt: skip
        lines.append(record.model_dump_json(exclude_none=True))
    result = FramesResult(framework="studio9", pictures=len(lines), width=64, height=48, rate=25.0, codec="h264")
    outputs += [("manifest", "manifest.jsonl", "".join(f"{line}\n" for line in lines).encode()),
                ("result", "result.json", result.model_dump_json().encode())]  # fmt: skip
    prefix, files = f"{request.organisation}/jobs/{request.data.job}/1/outputs", []
    for artifact, name, body in outputs:
        info = await installation.objects.put(f"{prefix}/{name}", body)
        media = "image/png" if artifact == "picture" else "application/json"
        files.append(ManifestFile(name=name, key=info.key, sha256=info.sha256, size=info.size, artifact=artifact,
                                  media_type=media))  # fmt: skip
    manifest = AttemptManifest(organisation=request.organisation, job=request.data.job, attempt=1, fence=1,
                               kind="frames", files=tuple(files))  # fmt: skip
    info = await installation.objects.put(f"{prefix}.json", manifest.model_dump_json().encode())
    await workers.end(request, JobCompleted, manifest=ObjectRef(key=info.key, sha256=info.sha256, size=info.size))


async def test_frames_become_pictures_of_the_album(
    ana: Any, album: str, workers: Any, installation: Any, until: Any, png: Any
) -> None:
    path = f"/albums/{album}"
    assert (await ana.ok("POST", f"{path}/importVideoFromS3", BODY))["status"] == "UPLOADING"
    first = await ana.ok("GET", f"{path}/process")
    assert (first["jobType"], first["target"]) == ("S3_VIDEO_IMPORT", "ALBUM")
    request = await workers.take()
    asked = request.data
    assert (asked.job, asked.spec.kind, asked.spec.framework) == (first["id"], "frames", "studio9"), "one process"
    assert FramesParameters.model_validate(asked.spec.parameters) == FramesParameters(
        every=25, most=5000, name="Quay.MP4"
    )
    assert asked.spec.max_run_s == 3600
    (video,) = asked.spec.inputs
    kept = f"{request.organisation}/videos/{hashlib.sha256(VIDEO).hexdigest()}/video.mp4"
    assert (video.name, video.kind, video.ref.key) == ("video", "file", kept)
    assert await installation.objects.get(video.ref.key) == VIDEO
    assert installation.stand_ins.secrets == {}, "the credentials are forgotten before the job begins"
    assert "very-secret" not in json.dumps(asked.model_dump(mode="json"))
    assert "video" not in await ana.ok("GET", path), "the frames come first"
    await workers.start(request)

    async def running() -> bool:
        return bool((await ana.ok("GET", f"{path}/process"))["status"] == "RUNNING")

    await until(running)
    await take_apart(workers, installation, request, [png(64, 48, (shade, 0, 0)) for shade in (1, 2)])
    process = await over(ana, until, path)
    assert (process["id"], process["status"], process["progress"]) == (first["id"], "COMPLETED", 1.0)
    assert (await ana.ok("GET", path))["status"] == "ACTIVE"
    pictures = (await ana.ok("GET", f"{path}/pictures?order=fileName"))["data"]
    assert [one["filename"] for one in pictures] == ["Quay_000000.jpg", "Quay_000025.jpg", "Quay_000050.jpg"]
    assert (await ana.http.get(pictures[1]["filepath"])).content == png(64, 48, (2, 0, 0))
    await check_video(ana, path)
    await check_groups(ana, album)
    await check_groups(ana, await predicted(ana, installation, request.organisation, album), itself=False)
    assert (await ana.ok("GET", "/processes?jobTypes=S3_VIDEO_IMPORT"))["count"] == 1
    await ana.refused(409, "POST", f"{path}/importVideoFromS3", BODY)


async def predicted(ana: Any, installation: Any, organisation: str, album: str) -> str:
    """An album as a prediction's result leaves it: its pictures name those that they show as their source."""
    result = (await ana.ok("POST", "/albums", {"name": "Found", "labelMode": "LOCALIZATION"}))["id"]
    same = ("sha256", "key", "profile", "content_type", "size", "width", "height", "filename")
    async with installation.baile.core.database.write(organisation) as work:
        for frame in await work.pictures.of_album(album, ""):
            work.pictures.make(album=result, source=frame.id, **{name: getattr(frame, name) for name in same})
    return str(result)


async def check_groups(ana: Any, album: str, *, itself: bool = True) -> None:
    """No split parts the frames of a video, nor what was copied from them."""
    copy = await ana.ok("POST", f"/albums/{album}/copy", {"name": f"Copy {itself}"})
    for one in (*((album,) if itself else ()), copy["id"]):
        version = await ana.ok("POST", "/v1/dataset-versions", {"albums": {"train": one}})
        (records,) = (await manifests(ana, version["id"])).values()
        assert {record.group for record in records} == {hashlib.sha256(VIDEO).hexdigest()} and len(records) == 3


async def check_video(ana: Any, path: str) -> None:
    """The album shows its video wherever it is answered, and takes no pictures beside its frames."""
    video = (await ana.ok("GET", path))["video"]
    assert (video["filename"], video["filesize"]) == ("Quay.MP4", len(VIDEO))
    answer = await ana.http.get(video["filepath"], headers={"Range": "bytes=2-5"})
    assert (answer.status_code, answer.content, answer.headers["content-type"]) == (206, b"film", "video/mp4")
    (listed,) = (await ana.ok("GET", "/albums"))["data"]
    renamed = await ana.ok("PUT", path, {"name": "Harbour"})
    saved = await ana.ok("POST", f"{path}/save", {"name": "Pier"})
    labels = {"file": ("l.csv", "filename,label,x-min,y-min,x-max,y-max\nQuay_000025.jpg,crane,1,1,9,9\n", "text/csv")}
    labelled = await ana.ok("POST", f"{path}/uploadLabels", files=labels)
    assert [listed["video"], renamed["video"], saved["video"], labelled["video"]] == [video] * 4, "one URL for an hour"
    assert "video" not in await ana.ok("POST", f"{path}/copy", {"name": "copy"}), "a copy can be changed"
    refused = [
        await ana.refused(409, "POST", f"{path}/importPicturesFromS3", {**BUCKET, "S3ImagesPath": "x"}),
        await ana.refused(409, "POST", f"{path}/importVideoFromS3", BODY),
        await ana.refused(409, "POST", f"{path}/uploadPicture", files={"file": ("x.png", b"x", "image/png")}),
        await ana.refused(409, "PUT", f"{path}/pictures", {"pictureMetaList": [{"filepath": "x", "filename": "x"}]}),
    ]
    assert all("album: it contains video" in error["message"] for error in refused), refused


async def test_a_broken_video_says_so_and_leaves_the_album_usable(
    ana: Any, album: str, workers: Any, until: Any
) -> None:
    await ana.ok("POST", f"/albums/{album}/importVideoFromS3", BODY)
    why = "Quay.MP4 can't be decoded after frame 12 (Invalid data found): replace it."
    await workers.end(await workers.take(), JobFailed, reason=reason("bad_input", why))
    process = await over(ana, until, f"/albums/{album}")
    assert (process["status"], process["cause"]) == ("FAILED", f"[bad_input]: {why}")
    assert (await ana.ok("GET", f"/albums/{album}"))["status"] == "ACTIVE"
    assert (await ana.ok("POST", f"/albums/{album}/importVideoFromS3", BODY))["status"] == "UPLOADING"


async def test_cancelling_the_job(ana: Any, album: str, workers: Any, until: Any) -> None:
    await ana.ok("POST", f"/albums/{album}/importVideoFromS3", BODY)
    request = await workers.take()
    await ana.ok("POST", f"/processes/{request.data.job}/cancel")
    while not isinstance((cancel := (await workers.take()).data), JobCancel):
        pass
    assert cancel.job == request.data.job
    await workers.end(request, JobCancelled, reason=reason("cancelled"))
    assert (await over(ana, until, f"/albums/{album}"))["status"] == "CANCELLED"
    assert (await ana.ok("GET", f"/albums/{album}"))["status"] == "ACTIVE"


async def test_cancelling_while_it_is_fetched(
    ana: Any, album: str, workers: Any, installation: Any, until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached, go_on, download = asyncio.Event(), asyncio.Event(), CloudObjects.stream

    async def once_let_go(self: CloudObjects, key: str, *, chunk: int = 1 << 20) -> Any:
        reached.set()
        await go_on.wait()
        return await download(self, key, chunk=chunk)

    monkeypatch.setattr(CloudObjects, "stream", once_let_go)
    await ana.ok("POST", f"/albums/{album}/importVideoFromS3", BODY)
    await reached.wait()
    process = await ana.ok("GET", f"/albums/{album}/process")
    await ana.ok("POST", f"/processes/{process['id']}/cancel")
    go_on.set()
    assert (await over(ana, until, f"/albums/{album}"))["status"] == "CANCELLED"
    assert (await ana.ok("GET", f"/albums/{album}"))["status"] == "ACTIVE"
    assert await workers.take_all(timeout_s=0.1) == [] and installation.stand_ins.secrets == {}
    assert [one async for one in installation.objects.list("")] == [], "nothing of it stays"


async def test_the_video_goes_with_the_last_album_that_has_it(
    ana: Any, album: str, s3: Any, workers: Any, installation: Any, until: Any, png: Any
) -> None:
    core = installation.baile.core
    sweeper = Sweeper(replace(core, settings=core.settings.model_copy(update={"orphan_age_s": 0.0})))

    async def videos() -> int:
        """How many are there after two sweeps: the first marks, the second removes."""
        await sweeper.step()
        await sweeper.step()
        return len([one async for one in installation.objects.list("") if "/videos/" in one.key])

    other = str((await ana.ok("POST", "/albums", {"name": "Again", "labelMode": "LOCALIZATION"}))["id"])
    known: list[Any] = []
    for one in (album, other):
        await ana.ok("POST", f"/albums/{one}/importVideoFromS3", BODY)
        known.append(request := await workers.other(*known))
        assert await videos() == 1, "the job needs it"
        await take_apart(workers, installation, request, [png(64, 48, (1, 1, 1))])
        await over(ana, until, f"/albums/{one}")
    await ana.ok("DELETE", f"/albums/{album}")
    assert await videos() == 1
    assert (await ana.http.get((await ana.ok("GET", f"/albums/{other}"))["video"]["filepath"])).content == VIDEO
    s3.put_object(Bucket="harbour", Key=BODY["S3VideoPath"], Body=b"broken")
    third = str((await ana.ok("POST", "/albums", {"name": "Third", "labelMode": "LOCALIZATION"}))["id"])
    await ana.ok("POST", f"/albums/{third}/importVideoFromS3", BODY)
    await workers.end(await workers.other(*known), JobFailed, reason=reason("bad_input", "it is broken"))
    assert (await over(ana, until, f"/albums/{third}"))["status"] == "FAILED"
    assert "video" not in await ana.ok("GET", f"/albums/{third}")
    assert await videos() == 1, "what failed keeps nothing"
    await ana.ok("DELETE", f"/albums/{other}")
    assert await videos() == 0


async def test_videos_of_more_than_two_gib_are_counted(ana: Any, installation: Any, png: Any) -> None:
    core = installation.baile.core
    organisation = core.tokens.read(ana.token).organisation
    video = {"key": "k", "profile": "local", "filename": "Quay.MP4", "size": 3 << 30}
    for name in ("Quay", "Pier", "Bay"):
        album = (await ana.ok("POST", "/albums", {"name": name, "labelMode": "LOCALIZATION"}))["id"]
        if name != "Bay":
            async with core.database.write(organisation) as work:
                (await work.albums.get(album, lock=True)).video = video
    async with core.database.read(organisation) as work:
        assert await work.albums.video_bytes() == 6 << 30
    await ana.upload(album, "p", png())


async def test_videos_count_for_the_quota(
    ana: Any, album: str, server: str, workers: Any, installation: Any, until: Any, png: Any
) -> None:
    entry = {
        "scope": "installation", "organisation": "system", "service": "baile", "key": "quotas", "version": 1,
        "value": {"bytes": len(VIDEO) + 2000}, "updated_at": "", "updated_by": "",
    }  # fmt: skip
    await installation.stop()
    (installation.folder / "configuration.json").write_text(json.dumps([entry]))
    await installation.start(buckets_endpoint=server)
    ana.http = installation.http()
    other = str((await ana.ok("POST", "/albums", {"name": "Again", "labelMode": "LOCALIZATION"}))["id"])
    await ana.ok("POST", f"/albums/{album}/importVideoFromS3", BODY)
    await take_apart(workers, installation, await workers.take(), [png(64, 48, (1, 1, 1))])
    assert (await over(ana, until, f"/albums/{album}"))["status"] == "COMPLETED"
    await ana.ok("POST", f"/albums/{other}/importVideoFromS3", BODY)
    process = await over(ana, until, f"/albums/{other}")
    assert process["status"] == "FAILED" and "Your organisation may keep" in process["cause"], process
    assert (await ana.ok("GET", f"/albums/{other}"))["status"] == "ACTIVE"


async def test_limits_of_what_is_fetched(
    ana: Any, offered: None, s3: Any, workers: Any, installation: Any, until: Any
) -> None:
    await installation.stop()
    await installation.start(max_video=100)
    ana.http = installation.http()
    album = (await ana.ok("POST", "/albums", {"name": "Quay", "labelMode": "LOCALIZATION"}))["id"]
    for key, content, words in (
        ("large.mp4", b"x" * 101, "has 101 bytes, at most 100"), ("empty.mp4", b"", "has 0 bytes"),
        ("none.mp4", None, "Error reading file from S3"),
    ):  # fmt: skip
        if content is not None:
            s3.put_object(Bucket="harbour", Key=key, Body=content)
        await ana.ok("POST", f"/albums/{album}/importVideoFromS3", {**BODY, "S3VideoPath": key})
        process = await over(ana, until, f"/albums/{album}")
        assert process["status"] == "FAILED" and words in process["cause"], process
    assert (await ana.ok("GET", f"/albums/{album}"))["status"] == "ACTIVE"
    assert await workers.take_all(timeout_s=0.1) == [] and installation.stand_ins.secrets == {}


async def test_bad_requests(ana: Any, album: str, installation: Any, png: Any) -> None:
    path = f"/albums/{album}/importVideoFromS3"
    for change, field in (
        ({"S3VideoPath": None}, "S3VideoPath"), ({"S3VideoPath": "a/../b.mp4"}, "S3VideoPath"),
        ({"S3VideoPath": "notes.txt"}, "S3VideoPath"), ({"frameRateDivider": 0}, "frameRateDivider"),
        ({"frameRateDivider": "x"}, "frameRateDivider"), ({"AWSRegion": "nowhere"}, "AWSRegion"),
        ({"AWSSecretKey": ""}, "AWSSecretKey"),
    ):  # fmt: skip
        error = await ana.refused(400, "POST", path, {**BODY, **change})
        assert error["errors"][0]["field"] == field and error["errors"][0]["fix"], error
    await installation.signed_in("bo").refused(404, "POST", path, BODY)
    await ana.upload(album, "p", png())
    error = await ana.refused(409, "POST", path, BODY)
    assert "already has pictures" in error["message"]
    assert installation.stand_ins.secrets == {}


async def test_without_a_worker_that_can(ana: Any, s3: Any) -> None:
    album = (await ana.ok("POST", "/albums", {"name": "Quay", "labelMode": "LOCALIZATION"}))["id"]
    error = await ana.refused(400, "POST", f"/albums/{album}/importVideoFromS3", BODY)
    assert error["message"].startswith("No worker takes videos apart") and error["errors"][0]["fix"]
