"""A measured figure beside its peer or physical limit, and whether it meets its goal."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Spread:
    """Repeated measurements of one thing."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle value."""
        return statistics.median(self.values)

    @property
    def quartiles(self) -> tuple[float, float]:
        """The first and third quartile; the value itself where there is one only."""
        if len(self.values) < 2:
            return self.values[0], self.values[0]
        first, _, third = statistics.quantiles(self.values, n=4, method="inclusive")
        return first, third

    def to_json(self) -> dict[str, Any]:
        """Median, quartiles and every value."""
        return {"median": self.median, "quartiles": list(self.quartiles), "values": list(self.values)}


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure. A `ratio` above 1 means that ours is better.

    The goal judges `ratio` where the name ends in `_ratio`, else `ours`; it is a lower bound, or with `at_most` an
    upper one. `extra` holds further keys for the report (spreads, sample counts).
    """

    name: str
    unit: str
    ours: float
    reference: str | None = None
    reference_value: float | None = None
    ratio: float | None = None
    goal: float | None = None
    at_most: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.name.endswith("_ratio") and self.ratio is None:
            raise ValueError(f"{self.name} is judged by its ratio and has none: give reference, value and ratio")

    @property
    def judged(self) -> float:
        """The number that the goal is about."""
        return self.ratio if self.name.endswith("_ratio") and self.ratio is not None else self.ours

    @property
    def met(self) -> bool | None:
        """Whether the goal is met; None where there is none."""
        if self.goal is None:
            return None
        return self.judged <= self.goal if self.at_most else self.judged >= self.goal

    def to_json(self) -> dict[str, Any]:
        """The figure in the report's format."""
        return {
            "name": self.name,
            "unit": self.unit,
            "ours": self.ours,
            "reference": self.reference,
            "reference_value": self.reference_value,
            "ratio": self.ratio,
            "goal": self.goal,
            "goal_is": None if self.goal is None else "at_most" if self.at_most else "at_least",
            "met": self.met,
            **self.extra,
        }


def compared(
    name: str,
    unit: str,
    pairs: Sequence[tuple[float, float]],
    *,
    against: str,
    goal: float | None = None,
    higher_is_better: bool = True,
) -> Figure:
    """The figure of pairs (ours, reference): medians of both, and the median of the pairs' ratios."""
    ours, theirs = Spread(tuple(pair[0] for pair in pairs)), Spread(tuple(pair[1] for pair in pairs))
    ratios = Spread(tuple(mine / other if higher_is_better else other / mine for mine, other in pairs))
    return Figure(
        name=name,
        unit=unit,
        ours=ours.median,
        reference=against,
        reference_value=theirs.median,
        ratio=ratios.median,
        goal=goal,
        at_most=not higher_is_better and not name.endswith("_ratio"),
        extra={"ours_spread": ours.to_json(), "reference_spread": theirs.to_json(), "ratio_spread": ratios.to_json()},
    )
