"""The table of routes: complete, and what docs/reference/routes.md says."""

from pathlib import Path

from .table import ABSENT, built, render, wanted

DOCUMENT = Path(__file__).parents[5] / "docs/reference/routes.md"


def test_the_document_is_the_table() -> None:
    assert DOCUMENT.read_text() == render(), "write it again: python services/baile/tests/runs/salsa/table.py"


def test_every_route_is_one_that_the_contract_knows() -> None:
    assert set(built()) <= {one.key for one in wanted()}


def test_the_journey_and_the_care_of_assets_are_complete() -> None:
    missing = [f"{one.method} {one.path}" for one in wanted() if built().get(one.key, ABSENT) == ABSENT]
    assert missing == ["GET /albums/{album}/access-param"]
