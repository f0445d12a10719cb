"""Users' credentials, resolved while an attempt is staged: they are stored once, in Argo, and named by reference.

The value is asked for with a token that is bound to job and attempt and opens nothing else. It stays in memory: no
file, message, event or log ever has it.
"""

from collections.abc import Mapping
from typing import Any

from studio9_common.contracts.reasons import reason
from studio9_common.errors import Forbidden, NotFound, Unavailable
from studio9_worker.context import Context
from studio9_worker.failing import StagingFailed
from studio9_worker.records import AttemptRecord
from studio9_worker.runners.port import Login


async def registry_login(context: Context, record: AttemptRecord) -> Login | None:
    """What opens the registry of the job's image; None where the job names no credentials. Raises StagingFailed."""
    reference = record.run.spec.image_secret
    if reference is None:
        return None
    return _login(await secret_of(context, record, reference, "bad_input", "image_secret"))


async def secret_of(context: Context, record: AttemptRecord, reference: str, code: str, what: str) -> Any:
    """The value of a secret that the job names as `what`; `code` is the reason where workers may not read it, or it is
    gone. Raises StagingFailed."""
    if context.argo is None:
        raise StagingFailed(reason("staging_error", "This worker has no way to the installation's secrets."))
    client = context.argo.for_attempt(record.key.job, record.key.fence, reference)
    try:
        return await client.reveal(reference, organisation=record.organisation)
    except (NotFound, Forbidden):
        message = f"{what}: there is no secret {reference} of yours that workers may read; store it for them."
        raise StagingFailed(reason(code, message)) from None
    except Unavailable as error:
        raise StagingFailed(reason("staging_error", f"{what}: it could not be read: {error}")) from error
    finally:
        await client.close()


def _login(value: Any) -> Login:
    """From an object with username and password, or a text `username:password`."""
    if isinstance(value, str):
        username, _, password = value.partition(":")
    elif isinstance(value, Mapping):
        username, password = value.get("username", ""), value.get("password", "")
    else:
        username = password = ""
    if not (isinstance(username, str) and isinstance(password, str) and username and password):
        raise StagingFailed(reason("bad_input", "image_secret: the secret holds no username and password."))
    return Login(username, password)
