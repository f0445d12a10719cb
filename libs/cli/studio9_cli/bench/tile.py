"""Tiling on one core: beside the codec alone, and a picture of 40,000 x 40,000 pixels in bounded memory."""

from studio9_cli.bench import Bench, Figure
from studio9_cli.bench.kit.trainers import measuring

NEEDS: tuple[str, ...] = ()
SMALL, LARGE = 10_240, 40_000


async def run(bench: Bench) -> list[Figure]:
    """Tiles of 640 px with 128 px of overlap, from and to JPEG of quality 90."""
    small, large = (1_500, 3_000) if bench.quick else (SMALL, LARGE)
    async with measuring("tile") as program:
        await program.ask("ready", side=small)
        beside_codec = await bench.paired(
            "tile_vs_codec_ratio",
            "tiles/s",
            program.arm("ours", "tiles_per_s", side=small),
            program.arm("bare", "tiles_per_s", side=small),
            against="simplejpeg, decoded as a whole",
            goal=0.9,
        )
    peaks: list[float] = []
    # A process of its own: what the codec alone has held is no part of what the large picture takes.
    async with measuring("tile") as program:
        await program.ask("ready", side=small)
        await program.ask("ready", side=large)

        async def of_large(seconds: float) -> float:
            found = await program.ask("ours", side=large, seconds=seconds)
            peaks.append(found["peak_anon_mib"])
            return float(found["tiles_per_s"])

        by_size = await bench.paired(
            "large_vs_small_ratio",
            "tiles/s",
            of_large,
            program.arm("ours", "tiles_per_s", side=small),
            against=f"{small:,} x {small:,} pixels",
            goal=0.8,
            pairs=3,
        )
    memory = Figure("peak_anon_mib", "MiB", max(peaks), goal=400, at_most=True, extra={"values": peaks, "side": large})
    return [beside_codec, memory, by_size]
