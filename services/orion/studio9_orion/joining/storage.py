"""Temporary keys of the object storage for a worker, from the storage's own STS (AWS, MinIO): AssumeRole with a policy
that leaves what a worker needs.

A worker runs jobs of every organisation, so it may read every organisation's objects; it writes below their jobs only,
and deletes checkpoints only. Orion takes away what jobs leave behind.
"""

import asyncio
import json
import re
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from studio9_common.contracts.joining import StorageKeys
from studio9_common.errors import Unavailable
from studio9_orion.settings import OrionSettings

VALID_S = 3600
"""Of one set of keys, the longest that AWS gives to a role that another has assumed."""


class StorageRefused(Unavailable):
    """The object storage lends no keys; check STUDIO9_ORION_WORKERS_OBJECTS_ROLE and who may assume it."""

    code = "storage_refused"


class StorageLender:
    """Asks for keys as Orion, with Orion's own credentials."""

    def __init__(self, settings: OrionSettings) -> None:
        place = urlsplit(settings.objects_url)
        self._role = settings.workers_objects_role
        self._policy = json.dumps(policy(place.netloc, place.path.strip("/")), separators=(",", ":"))
        secret = settings.objects_secret_key
        self._session = boto3.Session(
            aws_access_key_id=settings.objects_access_key,
            aws_secret_access_key=secret.get_secret_value() if secret else None,
            region_name=settings.objects_region,
        )
        self._endpoint = settings.objects_endpoint

    async def lend(self, worker: str) -> StorageKeys:
        """Keys for a worker; the storage's log shows its name. Raises StorageRefused."""
        return await asyncio.to_thread(self._lend, worker)

    def _lend(self, worker: str) -> StorageKeys:
        config = Config(connect_timeout=5, read_timeout=20, retries={"max_attempts": 3, "mode": "standard"})
        client: Any = self._session.client("sts", endpoint_url=self._endpoint, config=config)
        name = re.sub(r"[^\w+=,.@-]", "-", f"worker-{worker}")[:64]
        try:
            answer = client.assume_role(
                RoleArn=self._role, RoleSessionName=name, Policy=self._policy, DurationSeconds=VALID_S
            )
        except (ClientError, BotoCoreError) as error:
            raise StorageRefused from error
        keys = answer["Credentials"]
        return StorageKeys(
            access_key=keys["AccessKeyId"],
            secret_key=keys["SecretAccessKey"],
            session_token=keys["SessionToken"],
            valid_s=VALID_S,
        )


def policy(bucket: str, prefix: str) -> dict[str, Any]:
    """What a worker may do below a prefix of a bucket."""
    below = f"{prefix}/" if prefix else ""
    place = f"arn:aws:s3:::{bucket}/{below}"

    def allow(actions: list[str], resource: str, **more: Any) -> dict[str, Any]:
        return {"Effect": "Allow", "Action": [f"s3:{one}" for one in actions], "Resource": [resource], **more}

    return {
        "Version": "2012-10-17",
        "Statement": [
            allow(["GetObject"], f"{place}*"),
            allow(["PutObject", "AbortMultipartUpload"], f"{place}*/jobs/*"),
            allow(["DeleteObject"], f"{place}*/jobs/*/checkpoints/*"),
            allow(["ListBucket"], f"arn:aws:s3:::{bucket}", Condition={"StringLike": {"s3:prefix": [f"{below}ping*"]}}),
        ],
    }
