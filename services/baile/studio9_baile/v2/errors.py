"""Errors as `/v2.0` writes them: `{code, message, errors}`, where code is the HTTP status."""

import json
import re
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from studio9_baile.v2.dependencies import token_of
from studio9_baile.v2.middleware import BodyTooLarge
from studio9_common.errors import StorageFull, Studio9Error, no_room
from studio9_common.http.app import Failures
from studio9_common.logs import logger

CHALLENGE = {"WWW-Authenticate": 'Bearer realm="studio9"'}
_NO_JSON = {"field": "body", "fix": "send one JSON object, not too deep and without overlong numbers"}
_MESSAGES = {
    400: f"The request content was malformed: {_NO_JSON['field']}: {_NO_JSON['fix']}",
    404: "The requested resource could not be found",
    405: "HTTP method not allowed",
}
_SECRET = re.compile("password|token|secret|code", re.IGNORECASE)
_ENTRIES = {400: [_NO_JSON]}


def error_response(error: Studio9Error) -> JSONResponse:
    """The answer for one of our errors; `errors` names field, value and fix where they are known."""
    entry = {
        name: str(value)[:200]
        for name, value in (("field", error.field), ("value", error.value), ("fix", error.fix))
        if value is not None
    }
    message = error.message
    if error.field is not None and error.fix is not None:
        where = error.field if error.value is None else f"{error.field} is {str(error.value)[:100]}"
        message = f"{message} ({where}: {error.fix})"
    elif error.fix is not None:
        message = f"{message}: {error.fix}"
    headers = CHALLENGE if error.status == 401 else {}
    if error.status in (429, 503):
        headers = {"Retry-After": str(error.wait_s)}
    return _body(error.status, message, [entry] if entry else [], headers)


def _body(status: int, message: str, errors: list[Any], headers: dict[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"code": status, "message": message, "errors": errors}, status, headers or None)


def _invalid_entry(one: Mapping[str, Any]) -> dict[str, str]:
    """Field and fix of one finding of pydantic's."""
    if one["type"] == "json_invalid":
        where = f" from character {one['loc'][-1]} on" if isinstance(one["loc"][-1], int) else ""
        return {"field": "body", "fix": f"it is not JSON{where}: {one['ctx']['error']}"}
    parts = [str(part) for part in one["loc"] if part not in ("body", "query", "path")]
    entry = {"field": ".".join(parts), "fix": str(one["msg"]).removeprefix("Value error, ")}
    value = one.get("input")
    # Only what can be shown whole, and never what may be a password or a token.
    if isinstance(value, (bool, int, float, str)) and not _SECRET.search(entry["field"]):
        shown = value if isinstance(value, str) else json.dumps(value)
        entry["value"] = shown[:100].encode(errors="replace").decode()
    return entry


def _sentence(entry: Mapping[str, str]) -> str:
    where = entry["field"] or "body"
    return f"{where} is {entry['value']}: {entry['fix']}" if "value" in entry else f"{where}: {entry['fix']}"


def install(app: FastAPI) -> None:
    """Gives an app these error answers."""
    log = logger("baile")
    failures = Failures(log)

    @app.exception_handler(Studio9Error)
    async def known(_: Request, error: Studio9Error) -> JSONResponse:
        if error.status >= 500:
            failures.note(error)
        return error_response(error)

    @app.exception_handler(OSError)
    async def full(request: Request, error: OSError) -> JSONResponse:
        if not no_room(error):
            raise error
        return await known(request, StorageFull())

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        errors = [_invalid_entry(one) for one in error.errors()[:10]]
        return _body(400, f"The request content was malformed: {_sentence(errors[0])}", errors)

    @app.exception_handler(HTTPException)
    async def framework(request: Request, error: HTTPException) -> JSONResponse:
        if error.status_code == 404:
            # Whoever is not signed in learns nothing about which paths there are.
            try:
                await request.app.state.caller_of(token_of(request))
            except Studio9Error as refusal:
                return error_response(refusal)
        message = _MESSAGES.get(error.status_code, str(error.detail))
        entries = error.errors if isinstance(error, BodyTooLarge) else _ENTRIES.get(error.status_code, [])
        return _body(error.status_code, message, entries, dict(error.headers or {}))

    @app.exception_handler(Exception)
    async def unknown(_: Request, error: Exception) -> JSONResponse:
        log.error("unexpected_error", exc_info=error)
        return _body(500, "Internal server error", [])
