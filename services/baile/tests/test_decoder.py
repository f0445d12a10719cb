"""The children that decode pictures: what it means when one is gone."""

import io
import os
import signal
from pathlib import Path

import pytest
from PIL import Image

from studio9_baile.security.decoder import Decoder, DecoderUnavailable


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    data = io.BytesIO()
    Image.new("RGB", (40, 30)).save(data, "PNG")
    path = tmp_path / "one.png"
    path.write_bytes(data.getvalue())
    return path


async def test_a_child_that_died_meanwhile_says_nothing_about_the_next_picture(picture: Path) -> None:
    decoder = Decoder(processes=1, max_pixels=10_000, limit_s=30, memory=2 << 30)
    try:
        await decoder.decode(picture)
        (child,) = decoder._idle
        os.kill(child.pid, signal.SIGKILL)
        await child.wait()
        decoded = await decoder.decode(picture)
        assert (decoded.format, decoded.width, decoded.height) == ("PNG", 40, 30)
        assert decoder._idle[0].pid != child.pid
    finally:
        await decoder.close()


async def test_a_child_that_cannot_start_is_not_the_pictures_fault(picture: Path) -> None:
    decoder = Decoder(processes=1, max_pixels=10_000, limit_s=30, memory=1 << 70)  # more than a limit can hold
    with pytest.raises(DecoderUnavailable):
        await decoder.decode(picture)
    await decoder.close()
