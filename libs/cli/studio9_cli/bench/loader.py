"""Loading pictures for training on one core: beside Ultralytics with the same variations, and beside decoding alone."""

from studio9_cli.bench import Bench, Figure
from studio9_cli.bench.kit.trainers import measuring

NEEDS: tuple[str, ...] = ()
SIZES = ("640x480", "1920x1080")


async def run(bench: Bench) -> list[Figure]:
    """Of the two sizes the worse ratio counts; those to decoding are reported for both."""
    beside_peer: list[Figure] = []
    beside_decoding: list[Figure] = []
    async with measuring("loader") as program:
        for size in SIZES:
            ours = program.arm("ours", "pictures_per_s", size=size)
            beside_peer.append(
                await bench.paired(
                    "loader_vs_ultralytics_ratio",
                    "pictures/s",
                    ours,
                    program.arm("theirs", "pictures_per_s", size=size),
                    against=f"Ultralytics, {size}",
                    goal=1.3,
                    min_s=5.0,
                )
            )
            beside_decoding.append(
                await bench.paired(
                    f"loader_{size}_vs_decoding_ratio",
                    "pictures/s",
                    ours,
                    program.arm("bare", "pictures_per_s", size=size),
                    against="simplejpeg alone",
                    pairs=3,
                    min_s=3.0,
                )
            )
    return [min(beside_peer, key=lambda one: one.judged), *beside_decoding]
