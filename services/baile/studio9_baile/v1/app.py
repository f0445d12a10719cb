"""The routes of `/v1`, and what its OpenAPI document says of all of them."""

from functools import cache
from typing import Any

from fastapi import APIRouter

from studio9_baile.v1 import (
    albums,
    bootstrap,
    code,
    credentials,
    datasets,
    events,
    jobs,
    labels,
    models,
    monitoring,
    notices,
    session,
    sessions,
    tuning,
)

TOPICS = (
    bootstrap, session, models, code, credentials, datasets, sessions, tuning, monitoring, notices, jobs, albums,
    labels, events,
)  # fmt: skip
PROBLEMS: dict[int | str, dict[str, Any]] = {
    400: {"description": "what cannot be used, with field and fix"},
    401: {"description": "no valid token"},
    403: {"description": "the role, the token or the asset's owner does not allow it"},
    404: {"description": "not there, or another organisation's"},
    409: {"description": "it changed meanwhile, or goes on"},
    412: {"description": "it is not as If-Match says any more; the detail names what has changed"},
    413: {"description": "too large"},
    422: {"description": "an Idempotency-Key that was used for another request"},
    429: {"description": "too much at once; Retry-After says when to come again"},
    503: {"description": "a server behind it is away; Retry-After says when to come again"},
    507: {"description": "a disk is full; nothing was stored"},
}


@cache
def v1_routes() -> APIRouter:
    """All of them, under `/v1`."""
    v1 = APIRouter(prefix="/v1", responses=PROBLEMS)
    for topic in TOPICS:
        v1.include_router(topic.routes)
    return v1
