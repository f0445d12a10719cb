"""Requests that nobody thought of: generated from both APIs' own documents, none is answered with a 500."""

import asyncio
import contextlib
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.core.transport import Response as Answer

from studio9_common.service import HttpServer

EXAMPLES = 1
"""Of each route, by turns with what fits the document and with what does not."""


@pytest.fixture
async def served(installation: Any, ana: Any) -> Any:
    """The address of a running Baile, over HTTP."""
    server = HttpServer("127.0.0.1", 0)
    await server.start(installation.baile.asgi)
    yield f"http://127.0.0.1:{server.port}"
    await server.stop()


SKIPPED = ("/events", "/bootstrap", "/session", "/signout", "/me/password")
"""A stream without an end, a route of other tests, and what would end the very sign-in that is used here."""
OPERATING = ("/health", "/ready", "/metrics", "/objects")


def answers(address: str, token: str, api: str) -> list[tuple[str, Answer]]:
    """Every generated request's route and answer. Blocks."""
    base = f"{address}/v2.0" if api == "v2" else address
    schema = schemathesis.openapi.from_url(f"{address}/{'v1' if api == 'v1' else 'v2.0'}/openapi.json")
    headers = {"Authorization": f"Bearer {token}"}
    found: list[tuple[str, Answer]] = []
    for number, result in enumerate(schema.get_all_operations()):
        operation = result.ok()
        if operation.path.endswith(SKIPPED) or operation.path.startswith(OPERATING):
            continue
        ways = list(schemathesis.GenerationMode)
        for mode in (ways[number % 2], ways[1 - number % 2]):
            before = len(found)

            @settings(
                max_examples=EXAMPLES, deadline=None, database=None, derandomize=True, phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )  # fmt: skip
            @given(case=operation.as_strategy(generation_mode=mode))
            def once(case: Any) -> None:
                found.append((case.operation.label, case.call(base_url=base, headers=headers)))

            with contextlib.suppress(Unsatisfiable):  # what takes nothing can be given nothing wrong
                once()
            if len(found) > before:
                break  # whole runs of both ways are for whoever changes EXAMPLES
        else:
            raise AssertionError(f"no request was made for {operation.label}")
    return found


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("api", ["v1", "v2"])
async def test_no_request_is_answered_with_a_500(served: str, ana: Any, api: str) -> None:
    found = await asyncio.to_thread(answers, served, ana.token, api)
    bad = [f"{label}: {answer.status_code} {answer.text[:200]}" for label, answer in found if answer.status_code >= 500]
    # Aries' stand-in answers everything that it is asked; nothing here is away.
    assert bad == [] and len(found) > 20
    print(f"schemathesis: {api}: {len({label for label, _ in found})} operations, {len(found)} requests")
