"""The errors that cross a boundary. Each class's docstring is its default message and says what to do.

`status` is the HTTP status that an API answers with; `code` is the stable machine-readable name. `field`, `value`
and `fix` name the offending input; `problem()` is the RFC 9457 body of our own APIs (`/v2.0` has its own shape).
"""

import errno
import sqlite3
from typing import Any, ClassVar


class Studio9Error(Exception):
    """Something went wrong inside Studio9; look into the service's log for the request's id."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal"
    wait_s: int = 2
    """Seconds after which to come again (Retry-After), where `status` is 429 or 503."""

    def __init__(
        self,
        message: str | None = None,
        *,
        field: str | None = None,
        value: Any = None,
        fix: str | None = None,
    ) -> None:
        self.message = message or " ".join((type(self).__doc__ or type(self).__name__).split())
        self.field = field
        self.value = value
        self.fix = fix
        super().__init__(self.message)

    def problem(self) -> dict[str, Any]:
        """Problem details (RFC 9457): type, title, status, detail, and what is known of field, value and fix."""
        body: dict[str, Any] = {
            "type": f"urn:studio9:problem:{self.code}",
            "title": self.code.replace("_", " "),
            "status": self.status,
            "detail": self.message,
        }
        if self.field is not None:
            body["field"] = self.field
        if self.value is not None:
            body["value"] = str(self.value)[:200]
        if self.fix is not None:
            body["fix"] = self.fix
        return body

    @property
    def line(self) -> str:
        """For people, in one line: what is wrong, where, and how to mend it."""
        body = self.problem()
        place = " = ".join(body[name] for name in ("field", "value") if name in body)
        text = self.message + (f" ({place})" if place else "") + (f"; {self.fix}" if self.fix else "")
        return " ".join(text.split())


class BadInput(Studio9Error):
    """The request holds a value that cannot be used; correct the named field and send it again."""

    status = 400
    code = "bad_input"


class Unauthenticated(Studio9Error):
    """No valid token came with the request; sign in and send `Authorization: Bearer <token>`."""

    status = 401
    code = "unauthenticated"


class Forbidden(Studio9Error):
    """This token may not do that; ask the owner of the asset or an administrator."""

    status = 403
    code = "forbidden"


class NotFound(Studio9Error):
    """There is no such thing here; check the id and the organisation it belongs to."""

    status = 404
    code = "not_found"


class Conflict(Studio9Error):
    """Somebody else changed this in the meantime; read it again and repeat the change."""

    status = 409
    code = "conflict"


class PreconditionFailed(Studio9Error):
    """The version in If-Match is not the current one; read the document again and repeat the change."""

    status = 412
    code = "precondition_failed"


class TooLarge(Studio9Error):
    """The body is larger than this route accepts; send less, or in parts."""

    status = 413
    code = "too_large"


class UnsupportedMedia(Studio9Error):
    """This kind of content is not accepted here; send one of the formats that the message names."""

    status = 415
    code = "unsupported_media"


class Unavailable(Studio9Error):
    """A server that this service depends on cannot be reached right now; it is retried, try again shortly."""

    status = 503
    code = "unavailable"


class StorageFull(Unavailable):
    """There is no room left on the server's disk, so nothing was stored; tell whoever runs it, and send the request
    again once there is room."""

    status = 507
    code = "storage_full"


_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


def no_room(error: BaseException) -> bool:
    """Whether an error of the system or of SQLite says that a disk, or what one may use of it, is full."""
    if isinstance(error, sqlite3.Error):
        return getattr(error, "sqlite_errorcode", None) in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE)
    return isinstance(error, OSError) and error.errno in _NO_ROOM
