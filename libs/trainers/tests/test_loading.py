"""Loading: the one decoder's pixels, boxes that go where their pixels go, and the same batches for the same seed."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from studio9_task.pictures import PictureRecord
from studio9_task.shapes import Box
from studio9_trainers.data.dataset import Picture
from studio9_trainers.data.decode import decode
from studio9_trainers.errors import BadPicture
from studio9_trainers.loading.batches import PictureLoader
from studio9_trainers.loading.jpeg import decode_soon
from studio9_trainers.loading.variation import Draw, Varied, draw, moved, paint, recoloured


@pytest.fixture(scope="module")
def photo() -> Image.Image:
    random = np.random.default_rng(0)
    small = Image.fromarray(random.integers(0, 255, (9, 12, 3), dtype=np.uint8))
    return small.resize((203, 151), Image.Resampling.BICUBIC)


@pytest.mark.parametrize(
    ("name", "mode", "options"),
    [
        ("a.jpg", "RGB", {"quality": 90}),
        ("a.jpg", "RGB", {"quality": 75, "progressive": True, "subsampling": 0}),
        ("a.jpg", "L", {}),
        ("a.jpg", "CMYK", {}),
        ("a.jpg", "RGB", {"exif": 6}),
        ("a.png", "RGBA", {}),
    ],
)
def test_what_is_decoded_sooner_is_the_same(
    photo: Image.Image, tmp_path: Path, name: str, mode: str, options: dict[str, object]
) -> None:
    if turned := options.pop("exif", None):
        options["exif"] = exif = Image.Exif()
        exif[0x0112] = turned
    photo.convert(mode).save(tmp_path / name, **options)
    assert np.array_equal(decode_soon(tmp_path / name), decode(tmp_path / name))


def test_a_large_picture_comes_smaller_but_never_too_small(photo: Image.Image, tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    photo.save(path, quality=95)
    sizes = {0.6: (151, 203), 0.5: (76, 102), 0.2: (38, 51), 0.1: (19, 26)}
    for needed, size in sizes.items():
        assert decode_soon(path, "a.jpg", (151, 203), needed).shape[:2] == size
    out = {}
    for given in (decode_soon(path), decode_soon(path, "a.jpg", (151, 203), 0.3)):
        drawn = draw((151, 203), 64, None, np.random.default_rng(0))
        out[given.shape] = np.empty((64, 64, 3), np.uint8)
        paint(given, 64, drawn.of((151, 203), given.shape), out[given.shape])
    one, other = (pixels.astype(int) for pixels in out.values())
    assert np.abs(one - other).mean() < 4  # shifted by a pixel of the whole it would be more


def test_a_damaged_picture_is_named(photo: Image.Image, tmp_path: Path) -> None:
    photo.save(tmp_path / "half.jpg")
    (tmp_path / "half.jpg").write_bytes((tmp_path / "half.jpg").read_bytes()[:900])
    with pytest.raises(BadPicture, match=r"half\.jpg"):
        decode_soon(tmp_path / "half.jpg")


VARIED = Varied(degrees=20, translate=0.1, scale=0.5, shear=5, flip=0.5)


@pytest.mark.parametrize("size", [(80, 60), (500, 300)])
def test_boxes_go_where_their_pixels_go(size: tuple[int, int]) -> None:
    random = np.random.default_rng(4)
    looked_at = 0
    for _ in range(40):
        pixels = np.full((size[1], size[0], 3), 255, np.uint8)
        left, top = (int(random.integers(0, side * 0.6)) for side in size)
        right, bottom = left + size[0] // 4, top + size[1] // 4
        pixels[top:bottom, left:right] = 0
        drawn = Draw(draw(pixels.shape, 128, VARIED, random).matrix, None)
        out = np.empty((128, 128, 3), np.uint8)
        paint(pixels, 128, drawn, out)
        (box,), (kept,) = moved(np.array([[left, top, right, bottom]], dtype=np.float64), drawn, 128)
        rows, columns = np.nonzero(out[..., 0] < 60)
        if not kept or not len(rows):
            continue
        tight = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
        assert (tight >= box - 1.5).all() or (np.array([1, 1, -1, -1]) * (tight - box) >= -1.5).all()
        slack = 0.25 * max(box[2] - box[0], box[3] - box[1]) + 3  # a turned rectangle's corners are thin
        assert np.abs(tight - box).max() <= slack
        looked_at += 1
    assert looked_at > 20


def test_unvaried_pictures_lie_in_the_middle() -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (32, 64, 3), dtype=np.uint8)
    drawn = draw(pixels.shape, 64, None, np.random.default_rng(0))
    out = np.empty((64, 64, 3), np.uint8)
    paint(pixels, 64, drawn, out)
    assert np.array_equal(out[16:48], pixels)
    assert (out[:15] == 114).all() and (out[49:] == 114).all()
    corners, kept = moved(np.array([[0, 0, 64, 32.0]]), drawn, 64)
    assert corners.tolist() == [[0, 16, 64, 48]] and kept.all()


def test_colours_are_changed_before_or_after_alike() -> None:
    grey = np.full((20, 20, 3), 100, np.uint8)
    assert np.abs(recoloured(grey, (1.0, 1.0, 1.0)).astype(int) - 100).max() <= 1
    assert np.abs(recoloured(grey, (1.0, 1.5, 1.2)).astype(int) - 120).max() <= 1
    for side in (10, 40):  # fewer pixels after, fewer before
        out = np.empty((side, side, 3), np.uint8)
        paint(grey, side, Draw(draw(grey.shape, side, None, np.random.default_rng(0)).matrix, (1.0, 1.0, 1.2)), out)
        assert np.abs(out[2:-2, 2:-2].astype(int) - 120).max() <= 1


@pytest.fixture(scope="module")
def pictures(photo: Image.Image, tmp_path_factory: pytest.TempPathFactory) -> list[Picture]:
    folder = tmp_path_factory.mktemp("pictures")
    made = []
    for number in range(7):
        path = folder / f"{number}.jpg"
        photo.rotate(number * 10).save(path)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        record = PictureRecord(
            picture_id=str(number), version=digest, sha256=digest, key="k", filename=path.name, size=1,
            width=203, height=151,
        )  # fmt: skip
        boxes = (
            Box(label="b", left=10, top=10, width=100, height=80),
            Box(label="a", left=0, top=0, width=5, height=5),
        )
        made.append(Picture(record, path, boxes[: 1 + number % 2]))
    return made


def shown(loader: PictureLoader, epoch: int, skip: int = 0) -> list[tuple[list[str], bytes, list[float]]]:
    return [
        (
            [one.record.picture_id for one in batch.pictures],
            batch.pixels.contiguous().numpy().tobytes(),
            batch.corners.tolist(),
        )
        for batch in loader.epoch(epoch, skip)
    ]


def test_batches_follow_from_seed_and_epoch_alone(pictures: list[Picture]) -> None:
    def loader(**options: int) -> PictureLoader:
        return PictureLoader(pictures, ["a", "b"], 64, 3, varied=VARIED, **{"seed": 5, **options})

    first = shown(loader(), 2)
    assert len(first) == len(loader()) == 3
    assert first == shown(loader(threads=3), 2)
    assert first[1:] == shown(loader(), 2, skip=1)
    assert first != shown(loader(), 3) and first != shown(loader(seed=6), 2)
    assert sorted(name for names, _, _ in first for name in names) == [str(number) for number in range(7)]


def test_processes_share_an_epoch(pictures: list[Picture]) -> None:
    seen = []
    for rank in range(2):
        loader = PictureLoader(pictures, ["a", "b"], 64, 2, varied=VARIED, rank=rank, world=2)
        assert len(loader) == 2
        seen += [name for names, _, _ in shown(loader, 0) for name in names]
    assert len(seen) == 8 and set(seen) == {str(number) for number in range(7)}


def test_a_batch_that_is_held_keeps_its_pixels(pictures: list[Picture]) -> None:
    loader = PictureLoader(pictures, ["a", "b"], 64, 1, varied=VARIED)
    held = list(loader.epoch(0))
    assert [one.pixels.contiguous().numpy().tobytes() for one in held] == [pixels for _, pixels, _ in shown(loader, 0)]
    for batch in held:
        assert batch.pixels.shape == (1, 3, 64, 64)
        assert len(batch.corners) == len(batch.labels) == len(batch.owners)
        assert set(batch.labels.tolist()) <= {0, 1}
