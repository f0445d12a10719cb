"""Limits that an operator changes while everything runs: the announcement reaches each service by its own rights."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from studio9_common.clients.argo import ArgoClient
from studio9_common.contracts.job import Job, State

from .requester import Requester

TRIES = 20
"""Jobs, a second or so each: far less than the minute after which a service looks by itself."""


@pytest.fixture
async def operator(platform: Any) -> AsyncIterator[ArgoClient]:
    client: ArgoClient = platform.operator()
    yield client
    await client.close()


async def test_a_worker_refuses_what_an_organisation_may_not_send_any_more(
    asks: Requester, operator: ArgoClient
) -> None:
    await asks.completed(await asks.submit("train"))
    await operator.save("worker", "outputs_gib", 1e-9, scope="organisation", organisation=asks.organisation)
    refused = await first(asks, "train", State.failed)
    assert refused.reason is not None and refused.reason.code == "bad_output"
    assert "larger than 1e-09 GiB" in refused.reason.message
    await operator.remove("worker", "outputs_gib", scope="organisation", organisation=asks.organisation)
    await first(asks, "train", State.completed)


async def first(asks: Requester, do: str, state: State) -> Job:
    """The first job that ends so."""
    for _ in range(TRIES):
        ended = await asks.ended(await asks.submit(do))
        if ended.state is state:
            return ended
    raise AssertionError(f"after {TRIES} jobs none is {state.value}")


async def test_pegasus_refuses_an_output_that_is_too_large(asks: Requester, operator: ArgoClient) -> None:
    await operator.save("pegasus", "load_rows", 1, scope="organisation", organisation=asks.organisation)
    for _ in range(TRIES):
        pictures = await asks.pictures("predict", "ab.png")
        job = await asks.clean(await asks.submit("predict", kind="predict", inputs=(pictures,)))
        if job.outputs["predictions"].state == "failed":
            assert "at most 1" in job.outputs["predictions"].message
            return
    raise AssertionError("every output was loaded")
