"""Tiles: they cover the picture, the mapping can be inverted, and the pixels are the one decoder's."""

import hashlib
import resource
from pathlib import Path

import numpy as np
import pytest
import pyvips
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydantic import ValidationError

from studio9_task.pictures import PictureRecord, read_manifest
from studio9_task.shapes import Box, Keypoint, Keypoints, Mask, Polygon, RotatedBox, Tag
from studio9_task.tiles import TileSpec
from studio9_trainers.data.decode import decode
from studio9_trainers.errors import BadInput, BadPicture
from studio9_trainers.tiling.cutting import cut, cut_pixels
from studio9_trainers.tiling.files import Encoding, write_tiles
from studio9_trainers.tiling.grid import Grid, Tile
from studio9_trainers.tiling.shapes import area, box_to_picture, decoded, into_tile, runs

SPECS = st.builds(
    lambda size, overlap, padding, scale: TileSpec(
        size=size, overlap=int(overlap * size), padding=padding, scale=scale
    ),
    st.integers(32, 200),
    st.floats(0, 0.9),
    st.sampled_from(["shift", "none", "fill"]),
    st.sampled_from([0.25, 0.5, 1.0, 1.7]),
)
SIDES = st.integers(1, 700)


@settings(max_examples=60, deadline=None)
@given(SPECS, SIDES, SIDES)
def test_tiles_cover_every_pixel_and_stay_inside(spec: TileSpec, width: int, height: int) -> None:
    grid = Grid(spec, width, height)
    seen = np.zeros((grid.scaled[1], grid.scaled[0]), dtype=bool)
    for tile in grid:
        assert 0 <= tile.left < tile.right <= grid.scaled[0] and 0 <= tile.top < tile.bottom <= grid.scaled[1]
        assert tile.width <= spec.size and tile.height <= spec.size
        if spec.padding == "shift":
            assert tile.width == min(spec.size, grid.scaled[0])
        seen[tile.top : tile.bottom, tile.left : tile.right] = True
    assert seen.all()
    assert len(list(grid)) == len(grid) == grid.rows * grid.columns


@settings(max_examples=60, deadline=None)
@given(SPECS, SIDES, SIDES, st.lists(st.floats(-100, 1000), min_size=4, max_size=4))
def test_the_mapping_can_be_inverted(spec: TileSpec, width: int, height: int, corners: list[float]) -> None:
    boxes = np.array([corners])
    for tile in Grid(spec, width, height):
        assert np.abs(tile.to_picture(tile.to_tile(boxes)) - boxes).max() < 1e-9
        assert np.abs(tile.to_tile(tile.to_picture(boxes[:, :2])) - boxes[:, :2]).max() < 1e-9
    # The picture's border is the scaled picture's border, whatever was rounded.
    last = list(Grid(spec, width, height))[-1]
    assert np.allclose(last.to_tile(np.array([width, height])), (last.width, last.height))


@settings(max_examples=60, deadline=None)
@given(SPECS.filter(lambda spec: spec.overlap > 0), SIDES, SIDES, st.data())
def test_what_is_no_larger_than_the_overlap_is_whole_in_a_tile(
    spec: TileSpec, width: int, height: int, data: st.DataObject
) -> None:
    grid = Grid(spec, width, height)
    wide, high = grid.scaled
    across, down = (data.draw(st.floats(0.1, 1)) * min(spec.overlap, side) for side in (wide, high))
    left, top = data.draw(st.floats(0, 1)) * (wide - across), data.draw(st.floats(0, 1)) * (high - down)
    slack = 1e-9
    assert any(
        tile.left <= left + slack
        and left + across <= tile.right + slack
        and tile.top <= top + slack
        and top + down <= tile.bottom + slack
        for tile in grid
    )


def test_a_spec_that_never_moves_on_is_refused() -> None:
    with pytest.raises(ValidationError, match="less than the size"):
        TileSpec(size=64, overlap=64)


@pytest.fixture(scope="module")
def photo() -> Image.Image:
    random = np.random.default_rng(0)
    small = Image.fromarray(random.integers(0, 255, (20, 24, 3), dtype=np.uint8))
    return small.resize((301, 257), Image.Resampling.BICUBIC)


def whole(path: Path, spec: TileSpec) -> np.ndarray:
    """The picture put together again from its tiles."""
    pieces = list(cut(path, spec))
    width, height = max(tile.right for tile, _ in pieces), max(tile.bottom for tile, _ in pieces)
    found = np.zeros((height, width, 3), np.uint8)
    for tile, pixels in pieces:
        found[tile.top : tile.bottom, tile.left : tile.right] = pixels[: tile.height, : tile.width]
    return found


SPEC = TileSpec(size=100, overlap=30)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("padding", ["shift", "none"])
def test_tiles_are_upright_as_the_decoder_has_it(
    photo: Image.Image, tmp_path: Path, orientation: int, padding: str
) -> None:
    path = tmp_path / "turned.jpg"
    exif = Image.Exif()
    exif[0x0112] = orientation
    photo.save(path, quality=90, exif=exif)
    spec = SPEC.model_copy(update={"padding": padding})
    assert np.array_equal(whole(path, spec), decode(path))


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        ("a.png", "RGB"), ("a.png", "L"), ("a.png", "RGBA"), ("a.png", "LA"), ("a.png", "P"), ("a.png", "I;16"),
        ("a.jpg", "L"), ("a.jpg", "CMYK"), ("a.tif", "RGB"), ("a.webp", "RGB"), ("a.bmp", "RGB"),
    ],
)  # fmt: skip
def test_tiles_pixels_are_the_one_decoders(photo: Image.Image, tmp_path: Path, name: str, mode: str) -> None:
    path = tmp_path / name
    image = photo
    if mode in ("RGBA", "LA"):
        image = photo.convert(mode)
        image.putalpha(photo.convert("L"))
    elif mode == "I;16":
        image = Image.fromarray(np.asarray(photo.convert("L")).astype(np.uint16) * 257)
    else:
        image = photo.convert(mode)
    image.save(path)
    assert np.array_equal(whole(path, SPEC), decode(path))


def test_tiles_of_pixels_in_memory_are_those_of_the_file(photo: Image.Image, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    photo.save(path)
    spec = SPEC.model_copy(update={"padding": "fill"})
    for (one, left), (other, right) in zip(cut(path, spec), cut_pixels(np.asarray(photo), spec), strict=True):
        assert one == other and left.shape == (100, 100, 3)
        assert np.array_equal(left, right)
    scaled = list(cut(path, SPEC.model_copy(update={"scale": 0.5})))
    assert max(tile.right for tile, _ in scaled) == 150  # 150.5 to the even number
    assert all(pixels.shape[:2] == (tile.height, tile.width) for tile, pixels in scaled)


def test_what_cannot_be_streamed_is_named_with_a_way_out(photo: Image.Image, tmp_path: Path) -> None:
    large = photo.resize((1200, 1100))
    large.save(tmp_path / "slow.jpg", progressive=True)
    pyvips.Image.new_from_array(np.asarray(large)).pngsave(str(tmp_path / "slow.png"), interlace=True)
    for name, kind in (("slow.jpg", "progressive JPEG"), ("slow.png", "interlaced PNG")):
        with pytest.raises(BadInput, match=rf"{name} is an? {kind} of 1200 x 1100 pixels.*Save it as.*memory_mib"):
            next(cut(tmp_path / name, SPEC, memory_mib=1))
        assert np.array_equal(whole(tmp_path / name, SPEC), decode(tmp_path / name))  # where it fits


def test_half_a_file_is_refused_by_name(photo: Image.Image, tmp_path: Path) -> None:
    photo.save(tmp_path / "half.jpg")
    content = (tmp_path / "half.jpg").read_bytes()
    (tmp_path / "half.jpg").write_bytes(content[: len(content) // 2])
    (tmp_path / "text.jpg").write_text("no picture")
    for name in ("half.jpg", "text.jpg"):
        with pytest.raises(BadPicture, match=name):
            list(cut(tmp_path / name, SPEC))


def test_a_picture_larger_than_its_tiles_takes_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "large.jpg"
    pyvips.Image.black(9000, 9000, bands=3).cast("uchar").copy(interpretation="srgb").jpegsave(str(path))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert sum(1 for _ in cut(path, TileSpec())) == 18 * 18
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert grown < 150  # the whole has 232 MiB


TILE = Tile(row=0, column=1, left=50, top=0, right=150, bottom=100, scale_x=1, scale_y=1)


def test_shapes_are_cut_to_what_a_tile_shows() -> None:
    shown = into_tile(
        [
            Box(label="half", left=40, top=10, width=20, height=10),
            Box(label="sliver", left=41, top=10, width=10, height=10),
            Box(label="elsewhere", left=0, top=0, width=10, height=10),
            Polygon(label="cut", points=((40, 0), (60, 0), (60, 20), (40, 20))),
            RotatedBox(label="turned", centre_x=60, centre_y=50, width=10, height=4, angle=30),
            Keypoints(label="one out", points=(Keypoint(name="a", x=60, y=5), Keypoint(name="b", x=10, y=5))),
            Tag(label="all"),
        ],
        TILE,
    )
    assert shown.dropped == 1
    by_label = {shape.label: shape for shape in shown.shapes}
    assert set(by_label) == {"half", "cut", "turned", "one out", "all"}
    assert by_label["half"].corners == (0, 10, 10, 20)
    assert area(np.array(by_label["cut"].points)) == 200
    assert by_label["turned"].centre_x == 10
    assert [point.visibility for point in by_label["one out"].points] == [2, 0]


def test_masks_are_cut_by_pixels() -> None:
    painted = np.random.default_rng(1).random((30, 40)) > 0.5
    mask = Mask(label="m", left=30, top=5, width=40, height=30, counts=runs(painted))
    assert np.array_equal(decoded(mask), painted)
    (cut_off,) = into_tile([mask], TILE).shapes
    assert isinstance(cut_off, Mask)
    assert (cut_off.left, cut_off.top, cut_off.width) == (0, 5, 20)
    assert np.array_equal(decoded(cut_off), painted[:, 20:])


@settings(max_examples=40, deadline=None)
@given(SPECS, st.floats(0, 300), st.floats(0, 300), st.floats(1, 90), st.floats(1, 90))
def test_a_box_that_a_tile_shows_whole_comes_back(
    spec: TileSpec, left: float, top: float, width: float, height: float
) -> None:
    box = Box(label="x", left=left, top=top, width=width, height=height)
    for tile in Grid(spec, 400, 400):
        low, high = tile.to_picture(np.array([0.0, 0, tile.width, tile.height])).reshape(2, 2)
        shapes = into_tile([box], tile).shapes
        begins, ends = np.array(box.corners).reshape(2, 2)
        assert shapes or (begins < low).any() or (ends > high).any(), "a tile that shows it whole holds it"
        for shape in shapes:
            assert isinstance(shape, Box)
            back = np.array(box_to_picture(shape, tile).corners)
            expected = np.clip(np.array(box.corners).reshape(2, 2), low, high).reshape(-1)
            assert np.abs(back - expected).max() < 1e-6


def test_tiles_are_a_data_set_whose_splits_hold_whole_pictures(photo: Image.Image, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    photo.save(path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    record = PictureRecord(
        picture_id="a" * 60, version=digest, sha256=digest, key="k", filename="a.png", size=1, width=301, height=257,
        split="val", annotations=(Box(label="x", left=80, top=10, width=20, height=20),),
    )  # fmt: skip
    tiled = write_tiles(iter([(record, path)]), SPEC, tmp_path / "tiles", Encoding("png"))
    records = list(read_manifest(tiled.manifest.path))
    assert len(records) == tiled.tiles == len(Grid(SPEC, 301, 257))
    assert {(one.split, one.group) for one in records} == {("val", digest)}
    assert len({one.picture_id for one in records}) == tiled.tiles
    assert [len(one.boxes) for one in records if one.picture_id.endswith(("r0000c0000", "r0000c0001"))] == [1, 1]
    for one in records:
        assert decode(tmp_path / "tiles" / "pictures" / one.sha256).shape[:2] == (one.height, one.width)
