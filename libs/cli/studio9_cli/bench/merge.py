"""Merging the boxes of sliced prediction: 100,000 of them, beside SAHI, with the same keepers and owners."""

from studio9_cli.bench import Bench, Figure
from studio9_cli.bench.kit.trainers import measuring

NEEDS: tuple[str, ...] = ()
LAYOUTS = ("sparse", "dense")


class OtherKeepers(Exception):
    """Our keepers and owners differ from SAHI's on the same boxes: the times can't be compared."""


async def run(bench: Bench) -> list[Figure]:
    """The worse of the two layouts counts."""
    count = 2_000 if bench.quick else 100_000
    arrays: list[Figure] = []
    objects: list[Figure] = []
    async with measuring("merge") as program:
        for name in LAYOUTS:
            if not (await program.ask("same", name=name, count=count))["same"]:
                raise OtherKeepers
            for found, kind, goal in ((arrays, "arrays", 4.0), (objects, "objects", 10.0)):
                found.append(
                    await bench.paired(
                        f"merge_vs_sahi_{kind}_ratio",
                        "s",
                        program.arm(f"our_{kind}", "s", name=name, count=count),
                        program.arm(f"sahi_{kind}", "s", name=name, count=count),
                        against=f"SAHI, {name}",
                        goal=goal,
                        higher_is_better=False,
                        pairs=5 if kind == "arrays" else 3,
                        min_s=2.0,
                    )
                )
    slowest = max(arrays, key=lambda one: one.ours)
    seconds = Figure(
        "merge_100k_s",
        "s",
        slowest.ours,
        goal=0.2,
        at_most=True,
        extra={"boxes": count, "by_layout": dict(zip(LAYOUTS, (one.ours for one in arrays), strict=True))},
    )
    return [seconds, *(min(found, key=lambda one: one.judged) for found in (arrays, objects))]
