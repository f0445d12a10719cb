"""The twelve operations: pixels and shapes move alike, and the same seed gives the same bytes."""

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from studio9_task.augmentations import Mirroring, Step, augmented_count, images_per_input, share
from studio9_task.shapes import Box, Keypoint, Keypoints, Mask, Polygon, RotatedBox, Tag
from studio9_trainers.augmentation import colours, geometric
from studio9_trainers.augmentation.marks import other_side
from studio9_trainers.augmentation.operations import drawn_values, one_of, perform
from studio9_trainers.augmentation.scene import Changed, Scene
from studio9_trainers.augmentation.usual import may_be_mirrored, usual_steps
from studio9_trainers.data.masks import mask_of, mask_pixels, run_lengths
from studio9_trainers.data.outlines import area, rotated_corners

STEPS = usual_steps(["ship"])
GEOMETRIC = ("ROTATION", "SHEARING", "CROPPING", "ZOOM_IN", "ZOOM_OUT", "MIRRORING", "TRANSLATION")
EXACT = ("MIRRORING", "ZOOM_IN", "ZOOM_OUT", "TRANSLATION", "CROPPING")
STEP: TypeAdapter[Step] = TypeAdapter(Step)


def step_of(kind: str, **changes: Any) -> Step:
    found = next(step for step in STEPS if step.augmentation_type == kind)
    return found.model_copy(update=changes)


@st.composite
def boxed(draw: st.DrawFn) -> tuple[Scene, Box]:
    """A black picture with one white box, which is its label too."""
    width, height = draw(st.integers(40, 120)), draw(st.integers(40, 120))
    across, down = draw(st.integers(12, 30)), draw(st.integers(12, 30))
    left, top = draw(st.integers(0, width - across)), draw(st.integers(0, height - down))
    pixels = np.zeros((height, width, 3), dtype=np.uint8)
    pixels[top : top + down, left : left + across] = 255
    box = Box(label="white", left=left, top=top, width=across, height=down)
    return Scene(pixels, (box,)), box


def tight(pixels: Any) -> tuple[float, float, float, float]:
    bright = pixels[..., 0] >= 128
    rows, columns = np.flatnonzero(bright.any(axis=1)), np.flatnonzero(bright.any(axis=0))
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)


def moved_by(kind: str, resize: bool, pick: int, scene: Scene, seed: int) -> Changed:
    step = step_of(kind, **({} if kind == "MIRRORING" else {"resize": resize}))
    return perform(step, step.values[pick % len(step.values)], scene, np.random.default_rng(seed))


@settings(max_examples=250, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(
    one=boxed(),
    kind=st.sampled_from(GEOMETRIC),
    resize=st.booleans(),
    pick=st.integers(0, 9),
    seed=st.integers(0, 999),
)
def test_a_box_goes_where_its_pixels_go(one: tuple[Scene, Box], kind: str, resize: bool, pick: int, seed: int) -> None:
    scene, _ = one
    changed = moved_by(kind, resize, pick, scene, seed)
    assert changed.dropped == 1 - len(changed.scene.shapes)
    if not changed.scene.shapes:
        return
    (box,) = changed.scene.shapes
    assert isinstance(box, Box)
    left, top, right, bottom = box.corners
    width, height = changed.scene.size
    assert left >= 0 and top >= 0 and right <= width + 1e-6 and bottom <= height + 1e-6
    if not (changed.scene.pixels[..., 0] >= 128).any():
        return  # so small that averaging has darkened it
    bright = tight(changed.scene.pixels)
    assert left <= bright[0] + 1 and top <= bright[1] + 1 and right >= bright[2] - 1 and bottom >= bright[3] - 1
    if kind in EXACT or (kind == "ROTATION" and changed.applied.angle in (90, 180, 270)):
        # the free part of a shift that mirrors is not in question here: CONSTANT is the form's own
        assert np.abs(np.array(box.corners) - bright).max() <= 1


@settings(max_examples=100, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(one=boxed(), kind=st.sampled_from(GEOMETRIC), resize=st.booleans(), pick=st.integers(0, 9))
def test_what_is_dropped_has_less_than_a_fifth_left(one: tuple[Scene, Box], kind: str, resize: bool, pick: int) -> None:
    scene, box = one
    outline = ((box.left, box.top), (box.left + box.width, box.top), (box.left, box.top + box.height))
    with_more = Scene(scene.pixels, (box, Polygon(label="half", points=outline)))
    changed = moved_by(kind, resize, pick, with_more, 3)
    step = step_of(kind)
    scale = step.values[pick % len(step.values)] if kind.startswith("ZOOM") else 1.0
    if kind == "CROPPING" and resize:
        scale = 1 / float(np.sqrt(step.values[pick % len(step.values)]))
    for shape in changed.scene.shapes:
        if isinstance(shape, Polygon):
            assert area(np.array(shape.points)) >= 0.199 * 0.5 * box.width * box.height * scale**2 * 0.9
    assert changed.dropped == 2 - len(changed.scene.shapes)


def test_a_box_that_is_mostly_cut_off_is_dropped_and_counted() -> None:
    scene = Scene(
        np.zeros((100, 100, 3), dtype=np.uint8),
        tuple(Box(label=str(left), left=left, top=40, width=20, height=20) for left in (0, 8, 10, 60)),
    )
    changed = geometric.zoom_in(scene, 1.25, resize=True)  # ten pixels go at each side
    assert [shape.label for shape in changed.scene.shapes] == ["0", "8", "10", "60"]
    changed = geometric.zoom_in(scene, 2.0, resize=True)  # 25 go
    assert ([shape.label for shape in changed.scene.shapes], changed.dropped) == (["10", "60"], 2)
    changed = geometric.zoom_in(scene, 1.5, resize=True)  # 16.67 go: 3.3, 11.3, 13.3 of 20 are left
    assert ([shape.label for shape in changed.scene.shapes], changed.dropped) == (["8", "10", "60"], 1)


def test_mirrors_and_right_angles_are_exact() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    scene = Scene(pixels)
    assert (geometric.mirroring(scene, 0).scene.pixels == pixels[:, ::-1]).all()
    assert (geometric.mirroring(scene, 1).scene.pixels == pixels[::-1]).all()
    assert (geometric.mirroring(scene, 2).scene.pixels == pixels[::-1, ::-1]).all()
    for quarters in (1, 2, 3):
        turned = geometric.rotation(scene, 90 * quarters, resize=False).scene.pixels
        assert (turned == np.rot90(pixels, quarters)).all()
    shifted = geometric.translation(scene, 0.1, "REFLECT", True, np.random.default_rng(1))
    x, y = int(shifted.applied.extra_params["shiftX"]), int(shifted.applied.extra_params["shiftY"])
    padded = np.pad(pixels, ((4, 4), (6, 6), (0, 0)), mode="symmetric")
    assert (shifted.scene.pixels == padded[4 - y : 44 - y, 6 - x : 66 - x]).all()


def test_sides_change_places_when_a_picture_is_mirrored_but_not_when_it_is_turned() -> None:
    points = Keypoints(
        label="person",
        points=tuple(
            Keypoint(name=name, x=x, y=y) for name, x, y in (("left_eye", 10, 5), ("R knee", 30, 20), ("nose", 20, 9))
        ),
        box=Box(label="person", left=5, top=0, width=30, height=30),
    )  # fmt: skip
    scene = Scene(np.zeros((40, 60, 3), dtype=np.uint8), (points, Tag(label="portrait")))
    for axis, names in ((0, ["right_eye", "L knee", "nose"]), (2, ["left_eye", "R knee", "nose"])):
        changed, tag = geometric.mirroring(scene, axis).scene.shapes
        assert isinstance(changed, Keypoints)
        assert [point.name for point in changed.points] == names
        assert changed.points[0].x == 50
        assert tag == scene.shapes[1]
    assert other_side("LEFT-wheel") == "RIGHT-wheel"
    assert other_side("Leftmost") == "Rightmost"
    assert other_side("curl") == "curl"


def test_masks_turned_boxes_and_outlines_go_along() -> None:
    pixels = np.zeros((60, 80), dtype=bool)
    pixels[10:30, 20:50] = True
    pixels[10:15, 20:25] = False
    like = Mask(label="m", left=0, top=0, width=1, height=1, counts=(1,))
    mask = mask_of(pixels, like)
    assert mask is not None
    rotated = RotatedBox(label="r", centre_x=40, centre_y=30, width=20, height=8, angle=30)
    scene = Scene(np.zeros((60, 80, 3), dtype=np.uint8), (mask, rotated))
    for changed, expected in (
        (geometric.mirroring(scene, 0), pixels[:, ::-1]),
        (geometric.rotation(scene, 90, resize=False), np.rot90(pixels)),
    ):
        after, turned = changed.scene.shapes
        assert isinstance(after, Mask) and isinstance(turned, RotatedBox)
        shown = np.zeros(expected.shape, dtype=bool)
        shown[after.top : after.top + after.height, after.left : after.left + after.width] = mask_pixels(after)
        assert (shown == expected).all()
        assert sorted((turned.width, turned.height)) == pytest.approx([8, 20], abs=1e-3)
    mirrored = geometric.mirroring(scene, 0).scene.shapes[1]
    assert isinstance(mirrored, RotatedBox)
    before = np.array([(80 - x, y) for x, y in rotated_corners(rotated)])
    gaps = np.linalg.norm(rotated_corners(mirrored)[:, None] - before[None], axis=2)
    assert gaps.min(axis=1).max() < 1e-3


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 2**16), st.integers(1, 9), st.integers(1, 9))
def test_run_lengths_come_back(bits: int, width: int, height: int) -> None:
    pixels = np.random.default_rng(bits).random((height, width)) < 0.5
    counts = run_lengths(pixels)
    mask = Mask(label="m", left=0, top=0, width=width, height=height, counts=counts)
    assert (mask_pixels(mask) == pixels).all()


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.augmentation_type)
def test_the_same_seed_gives_the_same_bytes_and_nothing_changes_in_place(step: Step) -> None:
    random = np.random.default_rng(5)
    pixels = random.integers(0, 256, (48, 64, 3), dtype=np.uint8)
    scene = Scene(pixels.copy(), (Box(label="a", left=10, top=8, width=30, height=20),))
    results = [perform(step, step.values[0], scene, np.random.default_rng(seed)) for seed in (7, 7, 8)]
    assert (scene.pixels == pixels).all()
    assert results[0].scene.pixels.tobytes() == results[1].scene.pixels.tobytes()
    assert results[0].applied == results[1].applied
    assert results[0].scene.shapes == results[1].scene.shapes
    assert results[0].scene.pixels.shape != pixels.shape or not (results[0].scene.pixels == pixels).all()
    told = results[0].applied.model_dump(mode="json", exclude_none=True)
    assert told["augmentationType"] == step.augmentation_type
    assert isinstance(told["extraParams"], dict)


def test_what_is_told_of_each_operation_has_salsas_names() -> None:
    scene = Scene(np.full((40, 40, 3), 90, dtype=np.uint8), (Box(label="a", left=5, top=5, width=20, height=20),))
    names = {
        step.augmentation_type: set(
            perform(step, step.values[0], scene, np.random.default_rng(0)).applied.model_dump(exclude_none=True)
        )
        - {"augmentationType", "extraParams"}
        for step in STEPS
    }
    assert names == {
        "ROTATION": {"angle", "resize"}, "SHEARING": {"angle", "resize"}, "CROPPING": {"cropAreaFraction", "resize"},
        "BLURRING": {"sigma"}, "NOISING": {"noiseSignalRatio"}, "ZOOM_IN": {"ratio", "resize"},
        "ZOOM_OUT": {"ratio", "resize"}, "OCCLUSION": {"occAreaFraction", "mode", "targetWindowSize"},
        "SALT_PEPPER": {"knockoutFraction", "pepperProbability"}, "MIRRORING": {"flipAxis"},
        "TRANSLATION": {"translateFraction", "mode", "resize"},
        "PHOTO_DISTORT": {"alphaContrast", "alphaSaturation", "deltaHue"},
    }  # fmt: skip


def test_pixels_are_hit_as_often_as_asked() -> None:
    scene = Scene(np.full((200, 200, 3), 128, dtype=np.uint8))
    hit = colours.salt_pepper(scene, 0.3, 0.25, np.random.default_rng(0)).scene.pixels[..., 0]
    assert (hit != 128).mean() == pytest.approx(0.3, abs=0.02)
    assert (hit == 0).sum() / (hit != 128).sum() == pytest.approx(0.25, abs=0.03)


@pytest.mark.parametrize(("mode", "radar"), [("ZERO", False), ("BACKGROUND", False), ("BACKGROUND", True)])
def test_a_part_of_each_box_is_covered(mode: str, radar: bool) -> None:
    pixels = np.full((100, 100, 3), 60, dtype=np.uint8)
    pixels[20:60, 30:70] = 250
    box = Box(label="a", left=30, top=20, width=40, height=40)
    changed = colours.occlusion(Scene(pixels, (box,)), 0.25, mode, radar, 32, np.random.default_rng(0))
    covered = changed.scene.pixels[20:60, 30:70, 0] != 250
    assert covered.mean() == pytest.approx(0.25, abs=0.03)
    assert set(np.unique(changed.scene.pixels[20:60, 30:70, 0])) == {0 if mode == "ZERO" else 60, 250}
    assert (changed.scene.shapes, changed.dropped) == ((box,), 0)
    gone = colours.occlusion(Scene(pixels, (box,)), 0.85, mode, radar, 32, np.random.default_rng(0))
    assert (gone.scene.shapes, gone.dropped) == ((), 1)
    bare = colours.occlusion(Scene(pixels), 0.25, mode, radar, 32, np.random.default_rng(0))
    changed_pixels = np.argwhere((bare.scene.pixels != pixels).any(axis=2))
    assert ((changed_pixels >= 33) & (changed_pixels <= 67)).all()


@settings(max_examples=100, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 60), st.integers(1, 20), st.integers(1, 12), st.integers(1, 6))
def test_as_many_pictures_as_the_forms_formula_says(pictures: int, bloat: int, count: int, own: int) -> None:
    steps = [step.model_copy(update={"bloat_factor": own}) for step in STEPS[:count]]
    compose = min(bloat, count)
    each = pictures * compose // count
    parts = [each] * (count - 1) + [pictures * compose - each * (count - 1)]
    expected = sum(part * min(len(step.values), own) for part, step in zip(parts, steps, strict=True))
    assert augmented_count(pictures, bloat, steps) == expected
    assert [part for _, part in share(pictures, bloat, count)] == parts
    for step in steps:
        drawn = drawn_values(step, np.random.default_rng(0))
        assert len(drawn) == images_per_input(step)
        assert set(drawn) <= set(step.values)


def test_mirroring_is_left_out_where_it_changes_the_meaning() -> None:
    assert any(isinstance(step, Mirroring) for step in usual_steps(["ship", "buoy"]))
    for labels in (["7"], ["A", "B"], ["text"], ["licence plate"], ["left hand", "ship"], ["120"]):
        assert not may_be_mirrored(labels)
        assert not any(isinstance(step, Mirroring) for step in usual_steps(labels))


@pytest.mark.parametrize(
    "wrong",
    [
        {"augmentationType": "ROTATION", "angles": [0]},
        {"augmentationType": "ROTATION", "angles": []},
        {"augmentationType": "SHEARING", "angles": [61]},
        {"augmentationType": "ZOOM_IN", "ratios": [0.9]},
        {"augmentationType": "OCCLUSION", "occAreaFractions": [0.5], "targetWindowSize": 9},
        {"augmentationType": "TRANSLATION", "translateFractions": [0.5]},
        {"augmentationType": "PHOTO_DISTORT", "alphaMin": 2, "alphaMax": 1},
        {"augmentationType": "MIRRORING", "flipAxes": [3]},
        {"augmentationType": "BLURRING", "sigmas": [1], "bloatFactor": 0},
        {"augmentationType": "SPINNING"},
    ],
)
def test_parameters_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        STEP.validate_python(wrong)


def test_inside_a_loop_one_step_is_drawn() -> None:
    scene = Scene(np.full((40, 40, 3), 90, dtype=np.uint8), (Box(label="a", left=5, top=5, width=20, height=20),))
    kinds = {one_of(STEPS, scene, np.random.default_rng(seed)).applied.augmentation_type for seed in range(80)}
    assert len(kinds) == 12
