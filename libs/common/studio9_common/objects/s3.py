"""Objects on S3 or any server with its API: conditional creation for every size, presigned URLs of stable text."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import boto3
import botocore.session
from botocore.credentials import Credentials as BotocoreCredentials
from botocore.credentials import ReadOnlyCredentials
from obstore.store import S3Store

from studio9_common.objects.cloud import CLIENT, RETRY, CloudObjects
from studio9_common.objects.content import Digest
from studio9_common.objects.port import ObjectsUnavailable
from studio9_common.objects.s3_multipart import Multipart
from studio9_common.objects.s3_url import Credentials, Location, presign
from studio9_common.objects.windows import validity

if TYPE_CHECKING:
    from obstore.store import S3Config, S3Credential

CREDENTIALS_S = timedelta(minutes=10)
"""How long credentials are used before they are asked for again."""


def s3_objects(
    location: Location,
    *,
    credentials: Credentials | Callable[[], Credentials] | None = None,
    prefix: str = "",
    profile: str = "s3",
    public_endpoint: str | None = None,
) -> CloudObjects:
    """Objects in a bucket. Without credentials those of the machine are used (role, profile, environment).

    Temporary ones come from a function that gives those that are valid now, at once.
    `public_endpoint` is where users reach the same storage, if that is another address than ours.
    """
    session = _session(credentials, location.region)
    secure = location.endpoint is None or location.endpoint.startswith("https:")
    store = S3Store(
        location.bucket,
        prefix=prefix or None,
        config=_config(location),
        client_options=CLIENT | {"allow_http": not secure},
        retry_config=RETRY,
        credential_provider=_provider(session),
    )
    shown = Location(location.bucket, location.region, public_endpoint or location.endpoint)

    def full(key: str) -> str:
        return f"{prefix}/{key}" if prefix else key

    def sign(key: str, method: Literal["GET", "PUT"], expires_s: int, filename: str | None) -> str:
        held = validity(key, expires_s, time.time())
        return presign(shown, _credentials(session), method, full(key), held, filename)

    uploader = Multipart(session, location)

    async def put_big(key: str, path: Path, digest: Digest, headers: dict[str, str]) -> None:
        await asyncio.to_thread(uploader.create, full(key), path, digest, headers)

    waits = not isinstance(credentials, Credentials)
    return CloudObjects(store, profile=profile, sign=sign, sign_waits=waits, put_big=put_big)


class _Current(BotocoreCredentials):  # type: ignore[misc]  # botocore has no types
    """Credentials that others renew; botocore asks for them as it signs."""

    def __init__(self, current: Callable[[], Credentials]) -> None:
        self._current = current
        self.method = "studio9"

    def get_frozen_credentials(self) -> ReadOnlyCredentials:
        now = self._current()
        return ReadOnlyCredentials(now.access_key, now.secret_key, now.token)

    @property
    def access_key(self) -> str:
        return self._current().access_key

    @property
    def secret_key(self) -> str:
        return self._current().secret_key

    @property
    def token(self) -> str | None:
        return self._current().token


def _session(given: Credentials | Callable[[], Credentials] | None, region: str) -> boto3.Session:
    if callable(given):
        core = botocore.session.get_session()
        core._credentials = _Current(given)  # as botocore's own resolver would leave it
        return boto3.Session(botocore_session=core, region_name=region)
    return boto3.Session(
        aws_access_key_id=given.access_key if given else None,
        aws_secret_access_key=given.secret_key if given else None,
        aws_session_token=given.token if given else None,
        region_name=region,
    )


def _config(location: Location) -> "S3Config":
    config: S3Config = {"region": location.region, "checksum_algorithm": "SHA256"}
    if location.endpoint is not None:
        config["endpoint"] = location.endpoint
        config["virtual_hosted_style_request"] = False
    return config


def _credentials(session: boto3.Session) -> Credentials:
    found = session.get_credentials()
    if found is None:
        raise ObjectsUnavailable("there are no AWS credentials; set an access key or give the machine a role")
    frozen = found.get_frozen_credentials()
    return Credentials(frozen.access_key, frozen.secret_key, frozen.token)


def _provider(session: boto3.Session) -> Callable[[], "S3Credential"]:
    def current() -> "S3Credential":
        now = _credentials(session)
        return {
            "access_key_id": now.access_key,
            "secret_access_key": now.secret_key,
            "token": now.token,
            "expires_at": datetime.now(UTC) + CREDENTIALS_S,
        }

    return current
