"""Benchmarks: `studio9 bench NAME` runs the module `studio9_cli.bench.NAME`.

A bench is a module with a docstring, whose first line `--list` shows, the servers it needs, and one function:

    NEEDS = ("rabbitmq",)                     # names of studio9_cli.servers.fleet.servers(); () for none

    async def run(bench: Bench) -> list[Figure]:
        async def ours(seconds: float) -> float: ...        # runs for at least so long; gives messages/s
        async def bare(seconds: float) -> float: ...        # the peer, or the physical limit, on the same server
        return [await bench.paired("publish_vs_aio_pika_ratio", "messages/s", ours, bare, against="aio-pika", goal=0.8)]

`bench.address("STUDIO9_TEST_RABBITMQ_URL")` gives a server's address.
"""

from studio9_cli.bench.kit.figures import Figure, Spread
from studio9_cli.bench.kit.pairs import Arm
from studio9_cli.bench.kit.running import Bench

__all__ = ["Arm", "Bench", "Figure", "Spread"]
