"""Changing a job's priority over the operators' API: durable, for its own organisation, until the end."""

from typing import Any

import httpx
import pytest

from studio9_common.contracts.job import Spec
from studio9_common.ids import new_id
from studio9_common.tokens import Caller
from studio9_orion.core.events import CancelRequested, Requested


@pytest.fixture
def orion(world: Any) -> Any:
    return world.orion()


async def test_a_priority_is_changed_until_the_end(world: Any, orion: Any) -> None:
    id = new_id()
    event = Requested(job=id, organisation="acme", owner="ana", spec=Spec(kind="train"), request_hash="h")
    await orion.shell.apply([(id, event)])

    def caller(organisation: str, **given: Any) -> dict[str, str]:
        return {"Authorization": f"Bearer {world.keys.sign(Caller('studio9', organisation, **given), 'orion')}"}

    path = f"/v1/jobs/{id}/priority"
    async with httpx.AsyncClient(transport=httpx.ASGITransport(orion.asgi), base_url="http://orion") as http:
        body: dict[str, Any] = {"priority": 7, "requested_by": "ana"}
        assert (await http.put(path, json=body)).status_code == 401
        for stranger, status in ((caller("globex"), 404), (caller("acme", job=id, fence=1), 403)):
            assert (await http.put(path, json=body, headers=stranger)).status_code == status
        assert (await world.job(id)).priority == 0
        answer = (await http.put(path, json=body, headers=caller("acme"))).json()
        assert answer == {"job": id, "priority": 7, "changed": True, "phase": "queued"}
        again = (await http.put(path, json=body, headers=caller("system"))).json()
        assert (again["priority"], again["changed"]) == (7, False)
        job = await world.job(id)
        assert (job.priority, job.events[-1].detail) == (7, "0 → 7 by ana")
        for bad in ({}, {"priority": 1.5}, {"priority": 10**7}, {"priority": 1, "class": "x"}):
            assert (await http.put(path, json=bad, headers=caller("acme"))).status_code in {400, 422}
        assert (await http.put(f"/v1/jobs/{new_id()}/priority", json=body, headers=caller("acme"))).status_code == 404
        await orion.shell.apply([(id, CancelRequested(job=id, organisation="acme", requested_by="ana"))])
        late = await http.put(path, json={"priority": 9}, headers=caller("acme"))
        assert late.status_code == 409
        assert "too_late" in late.text
