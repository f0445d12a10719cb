"""All planted bugs by name."""

from collections.abc import Callable, Mapping

from studio9_cli.simulation.plan import SEARCH
from studio9_cli.simulation.plants import asking, carrying, deciding, hearing, working
from studio9_cli.simulation.substitutes import Substitute

Plant = Callable[[], list[Substitute]]

NEEDS: Mapping[str, str] = {
    "asked_for_twice": SEARCH,
    "child_request_lost": SEARCH,
    "children_brought_once": SEARCH,
    "children_emptied_early": SEARCH,
    "children_left_behind": SEARCH,
    "drain_forgotten": "drain",
    "first_child_is_enough": SEARCH,
    "late_children_left_behind": SEARCH,
    "limits_read_once": "limit",
    "old_beat_noted": "pause_orion",
    "skewed_clock_judges": "clock_skew:orion",
}
"""Planted bugs that only show where a plan has this fault, duty or kind of job: other seeds need not be tried."""


def plants() -> Mapping[str, Plant]:
    """Name → what makes its substitutes; the first line of its docstring says what it breaks."""
    found: dict[str, Plant] = {}
    for module in (deciding, asking, carrying, hearing, working):
        for plant in module.PLANTS:
            found[plant.__name__] = plant
    return found
