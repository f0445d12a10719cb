"""What the client and the server raise, as errors of the port."""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from elasticsearch import ApiError, AuthenticationException, AuthorizationException, TransportError

from studio9_common.documents.port import DocumentsUnavailable, MappingConflict
from studio9_common.errors import BadInput, Studio9Error, TooLarge

_UNKNOWN = frozenset({429, 500, 502, 503, 504})
"""Statuses after which the write may or may not have happened, or may be tried again."""


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Raises DocumentsUnavailable or BadInput in place of the client's errors."""
    try:
        yield
    except (AuthenticationException, AuthorizationException) as error:
        raise DocumentsUnavailable(
            f"the document store refuses our credentials (documents_url): {_reason(error)}",
            fix="check the user and its role",
        ) from error
    except ApiError as error:
        if error.status_code == 400:
            raise BadInput(f"the document store refuses the request: {_reason(error)}") from error
        raise DocumentsUnavailable(f"the document store answered {error.status_code}: {_reason(error)}") from error
    except TransportError as error:
        raise DocumentsUnavailable(
            f"the document store cannot be reached: {type(error).__name__}: {error.message}"
        ) from error


def _reason(error: ApiError) -> str:
    body: Any = error.body
    if isinstance(body, dict) and isinstance(body.get("error"), dict):
        return str(body["error"].get("reason") or body["error"].get("type"))
    return str(error.message)


def is_unknown(status: int) -> bool:
    """Whether an item's outcome must be read back from the store."""
    return status in _UNKNOWN


def refusal(status: int, error: Mapping[str, Any]) -> Studio9Error:
    """The error of an item that was refused for good."""
    cause = error.get("caused_by") or {}
    text = f"{error.get('reason')}" + (f" ({cause['reason']})" if cause.get("reason") else "")
    if status == 400:
        return MappingConflict(text)
    if status == 413:
        return TooLarge(text)
    return DocumentsUnavailable(f"the document store answered {status}: {text}")
