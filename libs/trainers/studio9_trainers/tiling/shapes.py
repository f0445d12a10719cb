"""Labels in and out of tiles: what of a shape a tile shows, in the tile's pixels, and back."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from studio9_task.shapes import Box, Keypoint, Keypoints, Mask, Polygon, RotatedBox, Shape, Tag, Track
from studio9_trainers.tiling.grid import Tile

LEAST_AREA = 0.2
"""A shape of which a tile shows a smaller part of the area is left out of it, and counted."""

Ring = np.ndarray[tuple[int, int], np.dtype[np.float64]]


@dataclass(frozen=True)
class Shown:
    """The shapes of one tile, in its pixels; `dropped`: how many it shows too little of."""

    shapes: tuple[Shape, ...]
    dropped: int


def into_tile(shapes: Iterable[Shape], tile: Tile, least_area: float = LEAST_AREA) -> Shown:
    """What a tile shows of a picture's shapes.

    Boxes, polygons and masks are cut at the tile's border; turned boxes that it shows enough of stay whole, for cut
    they would be no boxes any more. Keypoints outside count as not marked. Tags stay. Tracks belong to videos.
    """
    kept: list[Shape] = []
    dropped = 0
    for shape in shapes:
        if isinstance(shape, Tag):
            kept.append(shape)
            continue
        if isinstance(shape, Track):
            continue
        part, found = _shown(shape, tile)
        if found is not None and part >= least_area:
            kept.append(found)
        elif part > 0:
            dropped += 1
    return Shown(tuple(kept), dropped)


def box_to_picture(box: Box, tile: Tile) -> Box:
    """A box of a tile in the picture's coordinates."""
    left, top, right, bottom = tile.to_picture(np.array(box.corners))
    return box.model_copy(
        update={"left": float(left), "top": float(top), "width": float(right - left), "height": float(bottom - top)}
    )


def _shown(shape: Box | RotatedBox | Polygon | Mask | Keypoints, tile: Tile) -> tuple[float, Shape | None]:
    """(the part of its area that the tile shows, the shape in the tile's pixels)."""
    if isinstance(shape, Box):
        return _box(shape, tile)
    if isinstance(shape, Polygon):
        ring = tile.to_tile(np.array(shape.points))
        cut = clipped(ring, tile.width, tile.height)
        whole = area(ring)
        if len(cut) < 3 or whole == 0:
            return 0.0, None
        return area(cut) / whole, shape.model_copy(update={"points": tuple(map(tuple, cut.tolist()))})
    if isinstance(shape, RotatedBox):
        ring = tile.to_tile(corners_of(shape))
        part = area(clipped(ring, tile.width, tile.height)) / area(ring)
        x, y = tile.to_tile(np.array([shape.centre_x, shape.centre_y]))
        scale = (tile.scale_x * tile.scale_y) ** 0.5  # the two differ by rounding alone
        turned = {"centre_x": float(x), "centre_y": float(y)}
        return part, shape.model_copy(update={**turned, "width": shape.width * scale, "height": shape.height * scale})
    if isinstance(shape, Mask):
        return _mask(shape, tile)
    return _keypoints(shape, tile)


def _box(box: Box, tile: Tile) -> tuple[float, Box | None]:
    left, top, right, bottom = tile.to_tile(np.array(box.corners)).tolist()
    whole = (right - left) * (bottom - top)
    left, top, right, bottom = max(left, 0.0), max(top, 0.0), min(right, tile.width), min(bottom, tile.height)
    if right <= left or bottom <= top:
        return 0.0, None
    cut = {"left": left, "top": top, "width": right - left, "height": bottom - top}
    return (right - left) * (bottom - top) / whole, box.model_copy(update=cut)


def _keypoints(shape: Keypoints, tile: Tile) -> tuple[float, Keypoints | None]:
    points = tile.to_tile(np.array([(point.x, point.y) for point in shape.points]))
    marked = np.array([point.visibility > 0 for point in shape.points])
    inside = ((points >= 0) & (points < (tile.width, tile.height))).all(axis=1) & marked
    if shape.box is not None:
        part, box = _box(shape.box, tile)
    else:
        part, box = float(inside.sum() / max(1, marked.sum())), None
    if not inside.any() and box is None:
        return 0.0, None
    moved = tuple(
        Keypoint(name=point.name, x=float(x), y=float(y), visibility=point.visibility if shown else 0)
        for point, (x, y), shown in zip(shape.points, points, inside, strict=True)
    )
    return part, shape.model_copy(update={"points": moved, "box": box})


def _mask(mask: Mask, tile: Tile) -> tuple[float, Mask | None]:
    """Nearest neighbours where the tile is scaled."""
    painted = decoded(mask)
    whole = int(painted.sum())
    # The centres of the tile's pixels in the mask's own.
    centres = np.stack([np.arange(tile.width) + 0.5] * 2, axis=1)
    columns = np.floor(tile.to_picture(centres)[:, 0] - mask.left).astype(int)
    centres = np.stack([np.arange(tile.height) + 0.5] * 2, axis=1)
    rows = np.floor(tile.to_picture(centres)[:, 1] - mask.top).astype(int)
    at_columns = np.flatnonzero((columns >= 0) & (columns < mask.width))
    at_rows = np.flatnonzero((rows >= 0) & (rows < mask.height))
    if whole == 0 or not len(at_columns) or not len(at_rows):
        return 0.0, None
    shown = painted[np.ix_(rows[at_rows], columns[at_columns])]
    if not shown.any():
        return 0.0, None
    part = float(shown.sum()) / (whole * tile.scale_x * tile.scale_y)
    found = mask.model_copy(
        update={
            "left": int(at_columns[0]),
            "top": int(at_rows[0]),
            "width": len(at_columns),
            "height": len(at_rows),
            "counts": runs(shown),
        }
    )
    return min(1.0, part), found


def decoded(mask: Mask) -> "np.ndarray[tuple[int, int], np.dtype[np.bool_]]":
    """A mask's rectangle as booleans."""
    flat = np.repeat(np.arange(len(mask.counts)) % 2 == 1, mask.counts)
    return flat.reshape(mask.width, mask.height).T


def runs(painted: "np.ndarray[tuple[int, int], np.dtype[np.bool_]]") -> tuple[int, ...]:
    """Booleans as run lengths by columns, the first run outside."""
    flat = np.concatenate([[False], painted.T.reshape(-1)])
    ends = np.concatenate([[0], np.flatnonzero(np.diff(flat)), [flat.size - 1]])
    return tuple(int(length) for length in np.diff(ends))


def corners_of(box: RotatedBox) -> Ring:
    """The four corners."""
    angle = np.deg2rad(box.angle)
    across = np.array([np.cos(angle), np.sin(angle)]) * box.width / 2
    down = np.array([-np.sin(angle), np.cos(angle)]) * box.height / 2
    centre = np.array([box.centre_x, box.centre_y])
    return np.array([centre - across - down, centre + across - down, centre + across + down, centre - across + down])


def clipped(ring: Ring, width: float, height: float) -> Ring:
    """A polygon cut at the borders of a tile (Sutherland and Hodgman): its points, none where nothing is left."""
    for axis, limit, sign in ((0, 0.0, 1), (1, 0.0, 1), (0, width, -1), (1, height, -1)):
        inside = sign * (ring[:, axis] - limit)
        points: list[np.ndarray[tuple[int], np.dtype[np.float64]]] = []
        for number in range(len(ring)):
            one, other = ring[number - 1], ring[number]
            before, after = inside[number - 1], inside[number]
            if (before < 0) != (after < 0):
                points.append(one + (other - one) * (before / (before - after)))
            if after >= 0:
                points.append(other)
        ring = np.array(points).reshape(-1, 2)
        if not len(ring):
            break
    return ring


def area(ring: Ring) -> float:
    """Of a polygon."""
    if len(ring) < 3:
        return 0.0
    x, y = ring[:, 0], ring[:, 1]
    return float(abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2)
