"""One decoder: every kind of file gives upright RGB, and what can't be read is named."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from studio9_trainers.data import decode as module
from studio9_trainers.data.decode import decode, upright_size
from studio9_trainers.errors import BadPicture


def saved(tmp_path: Path, image: Image.Image, form: str, **options: object) -> Path:
    path = tmp_path / f"picture.{form.lower()}"
    image.save(path, form, **options)
    return path


@pytest.mark.parametrize(
    ("mode", "form"),
    [
        ("L", "PNG"),
        ("RGB", "PNG"),
        ("P", "PNG"),
        ("P", "GIF"),
        ("1", "PNG"),
        ("CMYK", "JPEG"),
        ("L", "JPEG"),
        ("RGB", "WEBP"),
    ],
)
def test_every_mode_becomes_rgb(tmp_path: Path, mode: str, form: str) -> None:
    gradient = Image.fromarray(np.tile(np.arange(0, 240, 6, dtype=np.uint8), (20, 1)))
    pixels = decode(saved(tmp_path, gradient.convert(mode), form))
    assert pixels.shape == (20, 40, 3)
    assert pixels.dtype == np.uint8
    assert pixels[:, -4:].mean() > pixels[:, :4].mean() + 100
    assert np.abs(pixels[..., 0].astype(int) - pixels[..., 1]).max() < 30


def test_transparency_lies_on_white(tmp_path: Path) -> None:
    image = Image.new("RGBA", (4, 4), (0, 0, 0, 0))
    image.putpixel((1, 2), (10, 20, 30, 255))
    pixels = decode(saved(tmp_path, image, "PNG"))
    assert tuple(pixels[2, 1]) == (10, 20, 30)
    assert tuple(pixels[0, 0]) == (255, 255, 255)


def test_sixteen_bits_keep_their_upper_byte(tmp_path: Path) -> None:
    image = Image.fromarray(np.array([[0, 0x1234, 0xFFFF]], dtype=np.uint16))
    assert decode(saved(tmp_path, image, "PNG"))[0, :, 0].tolist() == [0, 0x12, 0xFF]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_stand_upright(tmp_path: Path, orientation: int) -> None:
    image = Image.new("RGB", (30, 20))
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(tmp_path, image, "JPEG", exif=exif)
    height, width = decode(path).shape[:2]
    assert (width, height) == ((20, 30) if orientation >= 5 else (30, 20))
    assert upright_size(path) == (width, height)


def test_what_is_no_whole_picture_is_named(tmp_path: Path) -> None:
    whole = BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 40, 3), dtype=np.uint8)).save(whole, "PNG")
    for name, content in (("text.png", b"hello"), ("half.png", whole.getvalue()[:900]), ("empty.png", b"")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(BadPicture, match=f"seen as {name}.*replace it"):
            decode(tmp_path / name, f"seen as {name}")


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path, Image.new("1", (30, 20)), "PNG")
    monkeypatch.setattr(module, "MAX_PIXELS", 599)
    with pytest.raises(BadPicture, match=r"30 x 20 pixels.*tile it"):
        decode(path)
    bomb = saved(tmp_path, Image.new("1", (20_000, 20_000)), "PNG")
    with pytest.raises(BadPicture, match="more than"):
        upright_size(bomb)


def test_kinds_of_pixels_without_a_meaning_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadPicture, match="8 or 16 bits"):
        decode(saved(tmp_path, Image.new("F", (4, 4)), "TIFF"))
