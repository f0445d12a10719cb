"""Decodes uploaded pictures in child processes with limits on pixels, memory and time."""

import asyncio
import contextlib
import json
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from studio9_common.errors import BadInput, Conflict, TooLarge, Unavailable

START_LIMIT_S = 60.0
"""A new child has so long to be ready; it loads the decoders in that time, which a busy machine makes slow."""


class PictureUnsupported(Conflict):
    """Picture format unsupported"""

    code = "picture_unsupported"


class PictureDamaged(BadInput):
    """This picture is damaged or cut off; save it again and upload the new file."""

    code = "picture_damaged"


class PictureTooLarge(TooLarge):
    """This picture is too large once it is decoded; reduce it or cut it into tiles."""


class DecoderUnavailable(Unavailable):
    """The picture could not be looked at now, which says nothing about the picture; send it again shortly."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """What is known of a picture that decodes. Width and height are those of the upright picture."""

    format: str
    width: int
    height: int

    @property
    def content_type(self) -> str:
        return f"image/{self.format.lower()}"


class Decoder:
    """A small pool of child processes, started when they are needed."""

    def __init__(self, *, processes: int, max_pixels: int, limit_s: float, memory: int) -> None:
        self._max_pixels, self._limit_s, self._memory = max_pixels, limit_s, memory
        self._turns = asyncio.Semaphore(processes)
        self._idle: list[Process] = []

    async def decode(self, picture: Path | bytes, field: str = "file") -> Decoded:
        """Decodes a picture file, or a small one's bytes. Raises PictureUnsupported, PictureDamaged, PictureTooLarge,
        DecoderUnavailable."""
        async with self._turns:
            answer = await self._ask(picture)
        error, message = answer.get("error"), answer.get("message", "")
        if error == "unsupported":
            raise PictureUnsupported(field=field, fix=f"upload a PNG, JPEG or GIF; {message}")
        if error == "too_large":
            raise PictureTooLarge(f"Picture is too large: {message}", field=field, fix="reduce it or cut it into tiles")
        if error is not None:
            raise PictureDamaged(f"Picture is damaged: {message}", field=field, fix="save it again and upload it")
        return Decoded(answer["format"], answer["width"], answer["height"])

    async def _ask(self, picture: Path | bytes) -> dict[str, Any]:
        """A child that is reused may have died meanwhile, of what was before; only a new one that breaks says that it
        was this picture."""
        while self._idle:
            answer = await self._answer(self._idle.pop(), picture)
            if answer is not None:
                return answer
        answer = await self._answer(await self._start(), picture)
        return answer or {"error": "damaged", "message": "the decoder broke on it"}

    async def _answer(self, child: Process, picture: Path | bytes) -> dict[str, Any] | None:
        """None if the child died of it."""
        given = {"size": len(picture)} if isinstance(picture, bytes) else {"path": str(picture)}
        request = json.dumps({**given, "max_pixels": self._max_pixels}).encode() + b"\n"
        content = picture if isinstance(picture, bytes) else b""
        assert child.stdin is not None and child.stdout is not None
        try:
            async with asyncio.timeout(self._limit_s):
                child.stdin.write(request + content)
                await child.stdin.drain()
                line = await child.stdout.readline()
        except TimeoutError:
            await self._end(child)
            return {"error": "too_large", "message": f"decoding it takes longer than {self._limit_s:g} s"}
        except (BrokenPipeError, ConnectionResetError):
            line = b""
        except BaseException:
            await self._end(child)
            raise
        if not line:
            await self._end(child)
            return None
        self._idle.append(child)
        answer: dict[str, Any] = json.loads(line)
        return answer

    async def _start(self) -> Process:
        """A child that has said that it is ready. Raises DecoderUnavailable."""
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-I",
            "-m",
            "studio9_baile.security.decoding",
            str(self._memory),
            stdin=PIPE,
            stdout=PIPE,
            stderr=DEVNULL,
        )
        assert child.stdout is not None
        try:
            async with asyncio.timeout(START_LIMIT_S):
                ready = await child.stdout.readline()
        except TimeoutError:
            ready = b""
        except BaseException:
            await self._end(child)
            raise
        if not ready:
            await self._end(child)
            raise DecoderUnavailable
        return child

    async def _end(self, child: Process) -> None:
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        await child.wait()

    async def close(self) -> None:
        idle, self._idle = self._idle, []
        for child in idle:
            await self._end(child)
