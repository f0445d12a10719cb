"""Measures tiling: ours, and the codec alone on the same tiles."""

import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyvips
import simplejpeg
from answering import answer, one_core, repeated

from studio9_task.tiles import TileSpec
from studio9_trainers.tiling.files import Encoding, encoded
from studio9_trainers.tiling.grid import Grid

SPEC = TileSpec(size=640, overlap=128)
ENCODING = Encoding("jpeg", 90)


def picture(folder: Path, side: int) -> Path:
    """A baseline JPEG of quality 90; made once, in a process of its own, whose memory is not that of tiling."""
    path = folder / f"{side}.jpg"
    if not path.exists():
        subprocess.run([sys.executable, __file__, str(path), str(side)], check=True)
    return path


def make(path: Path, side: int) -> None:
    """Two real photos side by side over and over."""
    from sklearn.datasets import load_sample_images  # large, and the measuring process must stay small

    pair = np.concatenate(load_sample_images().images, axis=1)
    sheet = np.tile(pair, (6, 2, 1))
    large = pyvips.Image.new_from_array(sheet).replicate(-(-side // sheet.shape[1]), -(-side // sheet.shape[0]))
    large.crop(0, 0, side, side).copy(interpretation="srgb").jpegsave(str(path), Q=90)


def ours(path: Path) -> int:
    """Tiles of one round."""
    return sum(1 for _ in encoded(path, SPEC, ENCODING))


def bare(path: Path) -> int:
    """The same tiles: the whole picture decoded, then each encoded."""
    pixels = simplejpeg.decode_jpeg(path.read_bytes(), "RGB")
    tiles = list(Grid(SPEC, pixels.shape[1], pixels.shape[0]))
    for tile in tiles:
        part = np.ascontiguousarray(pixels[tile.top : tile.bottom, tile.left : tile.right])
        simplejpeg.encode_jpeg(part, 90, "RGB", "420")
    return len(tiles)


class Anonymous:
    """The most anonymous memory (RssAnon) that the process holds within the block, looked at every 20 ms."""

    def __init__(self) -> None:
        self.peak_mib = 0.0
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> "Anonymous":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._end.wait(0.02):
            for line in Path("/proc/self/status").read_text().splitlines():
                if line.startswith("RssAnon:"):
                    self.peak_mib = max(self.peak_mib, int(line.split()[1]) / 1024)


def main() -> None:
    one_core()
    pyvips.cache_set_max(0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)

        def measured(side: int, seconds: float, with_codec_alone: bool = False) -> Mapping[str, Any]:
            path = picture(folder, side)
            work = bare if with_codec_alone else ours
            with Anonymous() as memory:
                rate = repeated(lambda: work(path), seconds)
            return {"tiles_per_s": rate, "peak_anon_mib": memory.peak_mib}

        answer(
            {
                "ours": measured,
                "bare": lambda **options: measured(**options, with_codec_alone=True),
                "ready": lambda side: {"bytes": picture(folder, side).stat().st_size},
            }
        )


if __name__ == "__main__":
    if len(sys.argv) > 1:
        make(Path(sys.argv[1]), int(sys.argv[2]))
    else:
        main()
