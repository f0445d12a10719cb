"""Taurus' HTTP API for operators: what it serves and how far it is."""

from collections.abc import Awaitable, Callable

from fastapi import APIRouter
from pydantic import BaseModel

from studio9_common.http.app import ServiceCaller


class StreamStatus(BaseModel):
    """One enabled stream."""

    stream: str
    organisation: str
    bucket: str
    prefix: str
    album: str
    model_version: str


class Status(BaseModel):
    """`waiting`: messages in hand; `notifications`: batches announced so far, over all restarts."""

    streams: list[StreamStatus]
    waiting: int
    received: int
    deleted: int
    set_aside: int
    notifications: int


def router(status: Callable[[], Awaitable[Status]]) -> APIRouter:
    routes = APIRouter(prefix="/v1")

    @routes.get("/status")
    async def get_status(_: ServiceCaller) -> Status:
        return await status()

    return routes
