"""The agent's own HTTP API on this machine. Whoever can read its identity may ask it."""

import asyncio
from typing import Any

import httpx

from studio9_cli.agent.folder import AgentFolder, RunningAgent
from studio9_common.errors import Unavailable
from studio9_common.http.client import error_of
from studio9_common.tokens import Caller
from studio9_worker.joining.identity import load
from studio9_worker.joining.membership import NotJoined

TIMEOUT_S = 90.0
"""Handing back waits for the tasks' last checkpoints."""


class LocalAgent:
    """Calls a running agent. Methods raise Unavailable, and NotJoined where the folder has no identity."""

    def __init__(self, folder: AgentFolder, running: RunningAgent) -> None:
        self._folder, self.running = folder, running

    async def ready(self) -> bool:
        """Whether it takes commands."""
        try:
            async with httpx.AsyncClient(timeout=5) as http:
                return (await http.get(f"{self._address}/ready")).status_code == 200
        except httpx.HTTPError:
            return False

    async def status(self) -> dict[str, Any]:
        """Its slots, its attempts, whether it drains."""
        found: dict[str, Any] = (await self._call("GET", "/v1/status")).json()
        return found

    async def drain(self, *, hand_back: bool = False) -> None:
        """No new job from now on; `hand_back`: what it has goes on elsewhere, from a checkpoint."""
        await self._call("POST", "/v1/drain", params={"hand_back": hand_back})

    async def resume(self) -> None:
        """New jobs again."""
        await self._call("POST", "/v1/resume")

    async def empty(self, within_s: float) -> bool:
        """Waits until it has no attempt left; False where it still has one."""
        try:
            async with asyncio.timeout(within_s):
                while True:
                    if not (await self.status())["attempts"]:
                        return True
                    await asyncio.sleep(0.5)
        except TimeoutError:
            return False

    @property
    def _address(self) -> str:
        return f"http://127.0.0.1:{self.running.port}"

    async def _call(self, method: str, path: str, **options: Any) -> httpx.Response:
        identity = await asyncio.to_thread(load, self._folder.path)
        if identity is None:
            raise NotJoined(field="state", value=self._folder.path)
        token = identity.local_token_keys().sign(Caller("operator", "system"), "worker")
        headers = {"Authorization": f"Bearer {token}"}
        try:
            async with httpx.AsyncClient(timeout=TIMEOUT_S) as http:
                answer = await http.request(method, f"{self._address}{path}", headers=headers, **options)
        except httpx.HTTPError as error:
            raise Unavailable(f"the worker does not answer: {type(error).__name__}") from error
        if not answer.is_success:
            raise error_of(answer)
        return answer
