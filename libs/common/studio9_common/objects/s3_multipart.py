"""Big files to S3: in parts, completed only if the key is still free.

obstore can make a single request conditional but not a multipart upload, so this part speaks through boto3.
"""

import base64
import hashlib
from functools import cached_property
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from obstore.exceptions import AlreadyExistsError

from studio9_common.objects.content import Digest, check
from studio9_common.objects.port import ObjectsUnavailable
from studio9_common.objects.s3_url import Location

PART = 16 << 20
"""Bytes of a part; more where 10,000 parts would not do."""
ATTEMPTS = 5
"""Uploads that a writer tries while others write the same key at the same moment."""


class Multipart:
    """Blocking: runs in a thread."""

    def __init__(self, session: boto3.Session, location: Location) -> None:
        self._session = session
        self._location = location

    @cached_property
    def _client(self) -> Any:
        return self._session.client(
            "s3",
            endpoint_url=self._location.endpoint,
            config=Config(
                connect_timeout=5,
                read_timeout=60,
                retries={"max_attempts": 4, "mode": "standard"},
                s3={"addressing_style": "path" if self._location.endpoint else "auto"},
            ),
        )

    def create(self, key: str, path: Path, digest: Digest, headers: dict[str, str]) -> None:
        """Raises AlreadyExistsError, ChecksumMismatch (the file changed meanwhile) or ObjectsUnavailable."""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return self._create(key, path, digest, headers)
            except ClientError as error:
                status = error.response["ResponseMetadata"]["HTTPStatusCode"]
                if status == 412:
                    raise AlreadyExistsError(key) from None
                # 409 means that another upload of this key was being completed: S3 asks to send it again.
                if status != 409 or attempt == ATTEMPTS:
                    raise ObjectsUnavailable(f"the object storage did not take {key}: {error}") from error
            except BotoCoreError as error:
                raise ObjectsUnavailable(f"the object storage did not take {key}: {error}") from error

    def _create(self, key: str, path: Path, digest: Digest, headers: dict[str, str]) -> None:
        where = {"Bucket": self._location.bucket, "Key": key}
        begun = self._client.create_multipart_upload(
            **where,
            ContentType=headers["Content-Type"],
            Metadata={name: value for name, value in headers.items() if name != "Content-Type"},
            ChecksumAlgorithm="SHA256",
        )
        where["UploadId"] = begun["UploadId"]
        try:
            parts = self._send(where, path, digest)
            self._client.complete_multipart_upload(**where, MultipartUpload={"Parts": parts}, IfNoneMatch="*")
        except BaseException:
            self._client.abort_multipart_upload(**where)
            raise

    def _send(self, where: dict[str, str], path: Path, digest: Digest) -> list[dict[str, Any]]:
        size = max(PART, -(-digest.size // 10_000))
        whole = hashlib.sha256()
        parts: list[dict[str, Any]] = []
        with path.open("rb") as file:
            while chunk := file.read(size):
                whole.update(chunk)
                checksum = base64.b64encode(hashlib.sha256(chunk).digest()).decode()
                number = len(parts) + 1
                sent = self._client.upload_part(**where, PartNumber=number, Body=chunk, ChecksumSHA256=checksum)
                parts.append({"PartNumber": number, "ETag": sent["ETag"], "ChecksumSHA256": checksum})
            check(digest.sha256, Digest(whole.hexdigest(), file.tell()), where["Key"])
        return parts
