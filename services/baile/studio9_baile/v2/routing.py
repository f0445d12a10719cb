"""Routers of `/v2.0`: null is never sent."""

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter
from fastapi.routing import APIRoute


class OmittingRoute(APIRoute):
    """A route whose answers leave out what is absent."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, endpoint, **{**options, "response_model_exclude_none": True})


def router() -> APIRouter:
    """A router of `/v2.0`."""
    return APIRouter(route_class=OmittingRoute)
