"""Boxes come back to where they were, whatever a picture's shape."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from studio9_trainers.yolo.letterbox import letterbox, padding, scaled_size, unscaled


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(1, 300),
    width=st.integers(1, 300),
    side=st.sampled_from([64, 96, 192]),
    parts=st.tuples(*[st.floats(0, 1)] * 4),
)
def test_there_and_back(height: int, width: int, side: int, parts: tuple[float, float, float, float]) -> None:
    pixels = np.zeros((height, width, 3), dtype=np.uint8)
    boxed = letterbox(pixels, side)
    assert boxed.shape[0] % 32 == boxed.shape[1] % 32 == 0
    assert max(boxed.shape) == side
    scaled_height, scaled_width = scaled_size((height, width), side)
    top, left, bottom, right = padding(scaled_height, scaled_width)
    assert boxed.shape[:2] == (scaled_height + top + bottom, scaled_width + left + right)
    assert (boxed[top : top + scaled_height, left : left + scaled_width] == 0).all()
    x = sorted(part * width for part in parts[:2])
    y = sorted(part * height for part in parts[2:])
    across, down = scaled_width / width, scaled_height / height
    row = [x[0] * across + left, y[0] * down + top, x[1] * across + left, y[1] * down + top, 0.5, 1]
    found = unscaled(np.array([row]), (height, width), side)
    if x[1] - x[0] > 0.02 and y[1] - y[0] > 0.02:
        np.testing.assert_allclose(found.corners[0], [x[0], y[0], x[1], y[1]], atol=1e-6)
        assert found.labels.tolist() == [1]


def test_boxes_are_cut_to_the_picture_and_empty_ones_dropped() -> None:
    rows = np.array([[-9, -9, 20, 20, 0.9, 0], [70, 70, 90, 90, 0.8, 1]], dtype=float)
    found = unscaled(rows, (64, 64), 64)
    assert found.corners.tolist() == [[0, 0, 20, 20]]
