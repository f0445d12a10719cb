"""A video from a bucket to an album of its frames, and a prediction on them to a video again: a real S3 server, the
platform in one process, the real trainers."""

import asyncio
import hashlib
import io
import json
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import httpx
from PIL import Image

from studio9_cli.demo import waiting
from studio9_cli.demo.api import Api, ApiError
from studio9_cli.demo.runner import DemoOptions, sign_in, start, stop
from studio9_cli.platform.operators import Operators
from studio9_cli.platform.state import StateFolder
from studio9_common.ids import new_id

FRAMES, EVERY, STEP = 12, 5, 20
"""Each frame of the video is one grey, so much lighter than the one before."""
FILM = f"""
import sys
from pathlib import Path
import numpy as np
from studio9_trainers.data.video import write_video
frames = (np.full((48, 64, 3), {STEP} * number, np.uint8) for number in range({FRAMES}))
write_video(Path(sys.argv[1]), frames, 25)

from studio9_task.parameters import Thresholds
from studio9_trainers.yolo.quiet import ultralytics
ultralytics(Path(sys.argv[2]).parent, 1)
from studio9_trainers.files import ModelFile, copied, save_model
from studio9_trainers.yolo.weights import build
model = build("YOLO11N", "detect", 1)
for one in model.model[-1].cv3:
    one[-1].bias.data.fill_(5)
save_model(Path(sys.argv[2]), ModelFile("yolo", "detect", "YOLO11N", "YOLO_HEAD", ("crane",), 64, Thresholds(),
                                        copied(model)))
"""
"""The film, and a detector that has learned nothing but to be sure of itself."""
LOOK = """
import sys
import av
with av.open(sys.argv[1]) as container:
    for frame in container.decode(video=0):
        pixels = frame.to_ndarray(format="rgb24").astype(int)
        print(round(frame.time * 25), int((abs(pixels - pixels.mean(2, keepdims=True)).max(2) > 40).sum()))
"""
"""Tells of each frame when it is shown, in frames of the film, and how many of its pixels have a colour."""


async def test_from_the_bucket_to_the_frames(tmp_path: Path, s3_url: str, trainers_python: Path) -> None:
    film, weights = tmp_path / "Quay.mp4", tmp_path / "model.pt"
    command = [trainers_python, "-P", "-c", FILM, str(film), str(weights)]
    await asyncio.to_thread(subprocess.run, command, check=True, timeout=60)
    endpoint, bucket = await asyncio.to_thread(put, s3_url, {"clips/Quay.mp4": film.read_bytes(), "torn.mp4": b"torn"})
    options = DemoOptions(state=tmp_path / "state", port=0, buckets_endpoint=endpoint)
    process, running = await start(options)
    api = Api(running.baile, patience_s=30)
    try:
        async with Operators.of(options.state) as operators:
            await sign_in(api, operators, StateFolder(options.state))
        album = await imported(api, bucket | {"S3VideoPath": "clips/Quay.mp4", "frameRateDivider": EVERY}, "COMPLETED")
        pictures = await api.everything(f"/v2.0/albums/{album['id']}/pictures", order="fileName")
        assert len(pictures) == len(range(0, FRAMES, EVERY))
        async with httpx.AsyncClient() as browser:
            for picture, number in zip(pictures, range(0, FRAMES, EVERY), strict=True):
                assert f"{number:06d}" in picture["filename"]
                with Image.open(io.BytesIO((await browser.get(picture["filepath"])).content)) as image:
                    grey = image.convert("RGB").resize((1, 1)).getpixel((0, 0))
                assert isinstance(grey, tuple) and all(abs(one - STEP * number) < 8 for one in grey), (number, grey)
            video = album["video"]
            assert (video["filename"], video["filesize"]) == ("Quay.mp4", film.stat().st_size)
            part = await browser.get(video["filepath"], headers={"Range": "bytes=4-7"})
            assert (part.status_code, part.content, part.headers["content-type"]) == (206, b"ftyp", "video/mp4")
            assert (await browser.get(video["filepath"])).content == film.read_bytes()
            shown = tmp_path / "shown.mp4"
            shown.write_bytes((await browser.get(await predicted(api, album["id"], weights.read_bytes()))).content)
        command = [trainers_python, "-P", "-c", LOOK, str(shown)]
        told = await asyncio.to_thread(subprocess.run, command, check=True, timeout=60, capture_output=True, text=True)
        frames = [tuple(map(int, line.split())) for line in told.stdout.splitlines()]
        assert [number for number, _ in frames] == list(range(0, FRAMES, EVERY)), "each at the time that it has there"
        assert all(coloured > 100 for _, coloured in frames), "boxes are drawn on what was grey"
        torn = await imported(api, bucket | {"S3VideoPath": "torn.mp4"}, "FAILED")
        assert "video" not in torn and not await api.everything(f"/v2.0/albums/{torn['id']}/pictures")
    finally:
        await api.close()
        if process is not None:
            await asyncio.to_thread(stop, process)


async def imported(api: Api, body: dict[str, Any], wanted: str) -> dict[str, Any]:
    """A new album, once the import of a video into it has ended as it should."""
    album = (await api.post("/v2.0/albums", {"name": body["S3VideoPath"], "labelMode": "LOCALIZATION"}))["id"]

    async def begun() -> bool:
        """The worker's trainers are known a moment after the platform answers."""
        try:
            await api.post(f"/v2.0/albums/{album}/importVideoFromS3", body)
        except ApiError as error:
            if "No worker" not in str(error):
                raise
            return False
        return True

    async def ended() -> dict[str, Any] | None:
        found: dict[str, Any] = await api.get(f"/v2.0/albums/{album}/process")
        return found if found["status"] not in ("QUEUED", "RUNNING") else None

    await waiting.until("a worker that takes videos apart", begun, timeout_s=30)
    process = await waiting.until("the video to be taken apart", ended, timeout_s=60)
    assert process["status"] == wanted, process
    if wanted == "FAILED":
        assert "torn.mp4" in process["cause"], process
    found: dict[str, Any] = await api.get(f"/v2.0/albums/{album}")
    assert found["status"] == "ACTIVE"
    return found


async def predicted(api: Api, album: str, weights: bytes) -> str:
    """Where the video of a prediction on an album is: once the prediction is done it comes by itself."""
    digest = {"sha256": hashlib.sha256(weights).hexdigest(), "size": len(weights)}
    head = {"name": "Sure", "tl_type": "LOCALIZATION", "framework": "yolo", "architecture": "YOLO11N",
            "head": "YOLO_HEAD", "labels": ["crane"], "parameters": {}, "weights": digest}  # fmt: skip
    file = ("model.bin", json.dumps(head).encode() + b"\0" + weights, "application/octet-stream")
    model = await api.call("POST", "/v2.0/cv-models/import", files={"file": file}, data={"name": "Sure"})
    made = await api.post("/v2.0/cv-predictions", {"modelId": model["id"], "input": album, "name": "Seen"})
    await waiting.status(api, "cv-predictions", made["id"], "DONE", timeout_s=120)

    async def there() -> str | None:
        found = (await api.get(f"/v2.0/albums/{made['output']}")).get("video")
        return found and str(found["filepath"])

    return await waiting.until("the video of the prediction", there, timeout_s=60)


def put(s3_url: str, files: dict[str, bytes]) -> tuple[str, dict[str, str]]:
    """Puts files into a new bucket: the server's address, and what a request says of the bucket."""
    parts = urlsplit(s3_url)
    endpoint, bucket = f"{parts.scheme}://{parts.hostname}:{parts.port}", f"films-{new_id()}"
    user, password = parts.username or "", parts.password or ""
    client = boto3.client(
        "s3", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id=user, aws_secret_access_key=password
    )
    client.create_bucket(Bucket=bucket)
    for key, content in files.items():
        client.put_object(Bucket=bucket, Key=key, Body=content)
    client.close()
    return endpoint, {
        "AWSRegion": "us-east-1", "AWSS3BucketName": bucket, "AWSAccessKey": user, "AWSSecretKey": password,
        "AWSSessionToken": "",
    }  # fmt: skip
