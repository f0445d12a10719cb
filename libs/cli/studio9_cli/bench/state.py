"""What an exact state at every epoch's end costs a training: the demo's recipe with it and without."""

from studio9_cli.bench import Arm, Bench, Figure
from studio9_cli.bench.kit.figures import compared
from studio9_cli.bench.kit.trainers import measuring

NEEDS: tuple[str, ...] = ()
PAIRS = 7


async def run(bench: Bench) -> list[Figure]:
    """Three epochs of YOLO11 nano on 160 pages, 42 MB of state after each, synced: by the clock, and the same
    trainings by the processor's time."""
    spent: dict[str, list[float]] = {"with_state": [], "without_state": []}
    async with measuring("state", as_task=True) as program:

        def arm(name: str) -> Arm:
            async def measured(seconds: float) -> float:
                found = await program.ask(name, seconds=seconds)
                spent[name].append(float(found["processor_s"]))
                return float(found["pictures_per_s"])

            return measured

        if not bench.quick:  # the first training of a process pays for what stays in memory after it
            await program.ask("without_state", seconds=0.0)
        clock = await bench.paired(
            "with_state_ratio",
            "pictures/s",
            arm("with_state"),
            arm("without_state"),
            against="the same training without states",
            goal=0.97,
            pairs=PAIRS,
        )
    processor = compared(
        "with_state_processor_ratio",
        "s/epoch",
        list(zip(spent["with_state"], spent["without_state"], strict=True)),
        against="the same training without states",
        higher_is_better=False,
    )
    return [clock, processor]
