"""Two people who edit the same thing, the same way in every route of both APIs: what a path names is answered with its
`ETag`, and a change that comes with `If-Match` is carried out only if that is still its ETag (RFC 9110, 13.1.1)."""

import re
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

from fastapi import Request, Response

from studio9_baile.core import Core
from studio9_baile.repositories.aiming import Target
from studio9_common.errors import BadInput

READS = ("GET", "HEAD")
ANSWERED = (*READS, "PUT", "PATCH")
_NAMED = re.compile(r"/[^/{}]+/\{(\w+)\}")
"""A parameter that names something: it follows what its kind is called."""
_TAG = re.compile(r'\s*(W/)?"([\x21\x23-\x7e]*)"\s*')
LONGEST = 1_000
PARTS = ("", "/role", "/labels")
"""What may follow the parameter in the paths of routes that answer with (part of) what it names."""


def base_core(request: Request) -> Core:
    """The core that the app was built with."""
    core: Core = request.app.state.core
    return core


def core_of(request: Request) -> Core:
    """The core that was made for this request alone, or the one that the app was built with."""
    core: Core = getattr(request.state, "core", None) or base_core(request)
    return core


async def conditionally(
    path: str, request: Request, handle: Callable[[Request], Coroutine[Any, Any, Response]]
) -> Response:
    """The answer of a route at `path` (its template). Raises ChangedMeanwhile, then nothing is changed, and BadInput
    for an If-Match that cannot be read."""
    names = _NAMED.findall(path)
    if not names:
        return await handle(request)
    target = Target(request.path_params[names[-1]], _known(request))
    core = core_of(request)
    request.state.core = replace(core, database=core.database.aimed(target))
    response = await handle(request)
    answers = request.method in ANSWERED and path.rpartition("}")[2] in PARTS and path.count("}") == len(names)
    if answers and target.tag is not None and 200 <= response.status_code < 300:
        response.headers["ETag"] = target.tag
    return response


def _known(request: Request) -> frozenset[str] | None:
    """The tags of If-Match; None: whatever it is now. Weak ones never fit."""
    given = request.headers.get("if-match")
    if given is None or request.method in READS or given.strip() == "*":
        return None
    parts = [_TAG.fullmatch(part) for part in given[:LONGEST].split(",")]
    if len(given) > LONGEST or None in parts:
        raise BadInput(
            "This If-Match cannot be read", field="If-Match", value=given[:100],
            fix="send the ETag as it came, with its quotes",
        )  # fmt: skip
    return frozenset((part[1] or "") + part[2] for part in parts if part is not None)
