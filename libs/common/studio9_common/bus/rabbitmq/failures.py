"""What the client library raises, in the bus's own words."""

import asyncio
import contextlib
from collections.abc import Iterator

from aio_pika.exceptions import CONNECTION_EXCEPTIONS
from aiormq.exceptions import (
    ChannelAccessRefused,
    ChannelNotFoundEntity,
    ChannelPreconditionFailed,
    DeliveryError,
    ProbableAuthenticationError,
    PublishError,
)

from studio9_common.bus.port import BusUnavailable, QueueGone, QueueMismatch, Unroutable
from studio9_common.errors import Forbidden, Studio9Error


class BusForbidden(Forbidden):
    """The broker user of this service may not do that; compare its permissions with those the deployment gives."""

    code = "bus_forbidden"


class Refused(BusUnavailable):
    """The broker did not take this message: its queue has no leader, or memory or disk is short; it is sent again."""


class Unanswered(BusUnavailable):
    """The dead letters' queue gives no answer, it may have no leader; if it stays so, it is made anew in an hour."""


def translate(error: BaseException, subject: str) -> Studio9Error:
    """The bus's error for a library's; `subject` names the queue or routing key it was about."""
    if isinstance(error, Studio9Error):
        return error
    if isinstance(error, PublishError):
        return Unroutable(f"no queue takes {subject}")
    if isinstance(error, DeliveryError):
        return Refused(f"the broker refused {subject}; it may be short of memory or disk")
    if isinstance(error, ChannelNotFoundEntity):
        return QueueGone(f"{subject} is not on the broker; declare it again")
    if isinstance(error, ChannelAccessRefused):
        return BusForbidden(f"the broker refused access to {subject}: {error}")
    if isinstance(error, ChannelPreconditionFailed) and "inequivalent" in str(error):
        return QueueMismatch(f"{subject} exists with other arguments; raise its version")
    if isinstance(error, ProbableAuthenticationError):
        return BusUnavailable("the broker refused this user or password; correct them in bus_url")
    if isinstance(error, TimeoutError):
        return BusUnavailable(f"the broker did not answer in time about {subject}")
    return BusUnavailable(f"the connection to the broker was lost: {type(error).__name__}")


@contextlib.contextmanager
def translated(subject: str) -> Iterator[None]:
    """Raises the bus's errors in place of the library's."""
    try:
        yield
    except Studio9Error:
        raise
    except (*CONNECTION_EXCEPTIONS, TimeoutError) as error:
        raise translate(error, subject) from error
    except Exception as error:
        if type(error) is not Exception:
            raise
        # The library ends what waits on a channel that it closes with a bare Exception.
        raise translate(error, subject) from error
    except asyncio.CancelledError as error:
        # The library ends what waits on a closed connection with CancelledError, too.
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise translate(ConnectionError(), subject) from error
