"""The end of a test run, in words."""

from collections import Counter
from collections.abc import Sequence
from heapq import nlargest

from studio9_cli.servers.fleet import Outcome
from studio9_cli.testing.results import Result

LONGEST = 12
"""Tests whose times are told."""


def progress(result: Result) -> str:
    """One line for a finished part, and its output where something failed."""
    line = f"{result.part:<12} {counts(result)}  ({result.seconds:.1f} s)"
    return f"{result.output.rstrip()}\n{line}" if result.failed else line


def summary(results: Sequence[Result], servers: Sequence[Outcome], lengths: str, seconds: float) -> str:
    """Parts, failures, skips with reasons, notes, the longest tests, servers, module lengths; the last line is the
    total alone."""
    lines = ["", f"{'part':<12} {'passed':>7} {'failed':>7} {'skipped':>8} {'seconds':>8}"]
    for result in results:
        numbers = f"{result.passed:>7} {result.failed:>7} {result.skipped:>8} {result.seconds:>8.1f}"
        lines.append(f"{result.part:<12} {numbers}")
    failures = [f"  {result.part}: {name}" for result in results for name in result.failures]
    if failures:
        lines += ["", "failed:", *failures]
    reasons: Counter[str] = sum((result.reasons for result in results), Counter())
    if reasons:
        lines += ["", "skipped:", *(f"  {number} × {reason}" for reason, number in sorted(reasons.items()))]
    notes = [f"  {result.part}: {words}" for result in results for words in result.notes]
    if notes:
        lines += ["", "how it was run:", *notes]
    times = [(took, result.part, name) for result in results for name, took in result.durations_s.items()]
    if longest := nlargest(LONGEST, times):
        lines += [
            "",
            "the longest tests, in seconds:",
            *(f"  {took:>6.1f} {part}: {name}" for took, part, name in longest),
        ]
    if servers:
        lines += ["", "real servers:", *map(server, servers)]
    lines += ["", lengths, f"{seconds:.0f} s in all", total(results)]
    return "\n".join(lines)


def server(outcome: Outcome) -> str:
    """One server's line."""
    if outcome.addresses:
        return f"  {outcome.name:<14} {outcome.product:<22} {outcome.origin} ({outcome.seconds:.1f} s)"
    return f"  {outcome.name:<14} not run: {outcome.reason}"


def counts(result: Result) -> str:
    """`N passed, N failed, N skipped`."""
    return f"{result.passed} passed, {result.failed} failed, {result.skipped} skipped"


def total(results: Sequence[Result]) -> str:
    """The counts of all parts together."""
    columns = zip(*((r.passed, r.failed, r.skipped) for r in results), strict=True)
    passed, failed, skipped = (sum(column) for column in columns) if results else (0, 0, 0)
    return counts(Result("", passed=passed, failed=failed, skipped=skipped))
