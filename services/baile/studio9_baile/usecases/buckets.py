"""Buckets of users: where they are, and how they are opened. A request names no address: the operator says where
buckets answer, or they are AWS's own.

Credentials are kept as a secret in Argo, encrypted, for as long as the transfer runs that needs them. What is stored of
a transfer names the secret, never the credentials, and no job or message ever carries them.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from studio9_baile.core import Caller, Core
from studio9_baile.models.records import BucketRow
from studio9_baile.usecases.augmentation import AWS_REGIONS
from studio9_baile.usecases.deployments import list_buckets
from studio9_common.errors import BadInput, NotFound, Studio9Error
from studio9_common.ids import new_id
from studio9_common.objects.cloud import CloudObjects
from studio9_common.objects.port import ObjectMissing
from studio9_common.objects.s3 import s3_objects
from studio9_common.objects.s3_url import Credentials, Location

_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
"""https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html"""
LONGEST_PATH = 900


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketReference:
    """A bucket as a form names it: one that the operator offers (`id`), or the user's own with credentials."""

    id: str | None = None
    region: str | None = None
    name: str | None = None
    access_key: str | None = None
    secret_key: str | None = field(default=None, repr=False)
    session_token: str | None = field(default=None, repr=False)


async def _checked(core: Core, reference: BucketReference) -> tuple[str, str, Credentials | None]:
    """(name, region, credentials) of a bucket; None for what the operator's machine itself has. Raises BadInput."""
    if reference.id:
        found: BucketRow | None = next((one for one in await list_buckets(core) if one.id == reference.id), None)
        if found is None:
            raise BadInput(
                "Bucket was not found", field="AWSS3BucketId", value=reference.id[:100], fix="choose one of /s3buckets"
            )
        return found.name, found.region, _operators(core)
    if not reference.name or not _NAME.fullmatch(reference.name):
        raise BadInput(
            "Bucket was not found", field="AWSS3BucketName", value=(reference.name or "")[:100], fix="give its name"
        )
    if reference.region not in AWS_REGIONS:
        raise BadInput(
            "AWS region is invalid", field="AWSRegion", value=(reference.region or "")[:50],
            fix="use one of /config/aws-regions",
        )  # fmt: skip
    for name, value in (("AWSAccessKey", reference.access_key), ("AWSSecretKey", reference.secret_key)):
        if not value or not value.isprintable() or len(value) > 1_000:
            raise BadInput("Access or secret key can not be empty", field=name, fix="give both keys")
    token = reference.session_token or None
    if token is not None and (not token.isprintable() or len(token) > 10_000):
        raise BadInput("Session token is invalid", field="AWSSessionToken", fix="copy it as it is")
    assert reference.access_key and reference.secret_key
    return reference.name, reference.region, Credentials(reference.access_key, reference.secret_key, token)


def _operators(core: Core) -> Credentials | None:
    settings = core.settings
    if settings.objects_access_key and settings.objects_secret_key:
        return Credentials(settings.objects_access_key, settings.objects_secret_key.get_secret_value())
    return None


def path_in(path: str | None, field: str) -> str:
    """A path in a bucket without slashes at its ends. Raises BadInput."""
    found = (path or "").strip().strip("/")
    parts = found.split("/") if found else []
    if len(found.encode(errors="replace")) > LONGEST_PATH or any(one in ("", ".", "..") for one in parts):
        raise BadInput("Path is invalid", field=field, value=found[:100], fix="write a/b, without empty parts")
    if not found.isprintable():
        raise BadInput("Path is invalid", field=field, fix="use printable characters")
    return found


async def keep_place(core: Core, caller: Caller, reference: BucketReference) -> dict[str, Any]:
    """What is stored of a bucket for a transfer; `forget_place_of` must follow. Raises BadInput, Unavailable."""
    name, region, credentials = await _checked(core, reference)
    place = {"bucket": name, "region": region}
    if reference.id or credentials is None:
        return place
    value = {"access_key": credentials.access_key, "secret_key": credentials.secret_key, "token": credentials.token}
    info = await core.argo.add_secret(
        f"transfer {new_id()}", value, audiences=("baile",), organisation=caller.organisation
    )
    return place | {"secret": info.id}


async def forget_secret(core: Core, organisation: str, place: dict[str, Any]) -> None:
    """The credentials are needed no more. Raises Unavailable."""
    if "secret" in place:
        try:
            await core.argo.delete_secret(place["secret"], organisation=organisation)
        except NotFound:
            return


async def open_place(core: Core, organisation: str, place: dict[str, Any]) -> CloudObjects:
    """The bucket of a transfer. Raises NotFound where its credentials are gone, Unavailable."""
    credentials = _operators(core)
    if "secret" in place:
        value = await core.argo.reveal(place["secret"], organisation=organisation)
        credentials = Credentials(value["access_key"], value["secret_key"], value.get("token"))
    return _open(core, place["bucket"], place["region"], credentials)


async def open_now(core: Core, reference: BucketReference) -> CloudObjects:
    """A bucket for the time of a request; its credentials are kept nowhere. Raises BadInput."""
    return _open(core, *await _checked(core, reference))


def _open(core: Core, bucket: str, region: str, credentials: Credentials | None) -> CloudObjects:
    return s3_objects(Location(bucket, region, core.settings.buckets_endpoint or None), credentials=credentials)


async def fetch_file(bucket: CloudObjects, key: str, path: Path, limit: int, field: str) -> int:
    """Fetches one object; its size. Raises BadInput, as the form shows it."""
    try:
        info = await bucket.head(key)
        if info.size > limit:
            raise BadInput("File is too large", field=field, value=info.size, fix=f"at most {limit} bytes")
        await bucket.download(key, path)
    except ObjectMissing:
        raise BadInput(
            "Error reading file from S3. There is no such file", field=field, value=key[:200], fix="check the path"
        ) from None
    except BadInput:
        raise
    except Studio9Error as error:
        raise BadInput(
            f"Error reading file from S3. {error.message}", field=field, value=key[:200], fix="check bucket and keys"
        ) from error
    return info.size
