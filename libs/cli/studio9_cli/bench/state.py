"""What an exact state at every epoch's end costs a training: the demo's recipe with it and without."""

from studio9_cli.bench import Bench, Figure
from studio9_cli.bench.kit.trainers import measuring

NEEDS: tuple[str, ...] = ()


async def run(bench: Bench) -> list[Figure]:
    """Three epochs of YOLO11 nano on 160 pages, 42 MB of state after each, synced."""
    async with measuring("state") as program:
        return [
            await bench.paired(
                "with_state_ratio",
                "pictures/s",
                program.arm("with_state", "pictures_per_s"),
                program.arm("without_state", "pictures_per_s"),
                against="the same training without states",
                goal=0.97,
            )
        ]
