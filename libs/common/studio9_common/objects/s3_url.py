"""Presigned S3 URLs: AWS Signature Version 4 in the query string, dated so that their text stays the same for an hour.

Format: https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html. The date is the beginning of the
window that `windows.validity` chose, which no client library lets us choose.
"""

import hashlib
import hmac
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import quote, urlsplit

from studio9_common.objects.disposition import attachment
from studio9_common.objects.windows import Validity


@dataclass(frozen=True, slots=True)
class Credentials:
    """What signs a request; `token` belongs to temporary credentials, whose end also ends the URL."""

    access_key: str
    secret_key: str = field(repr=False)
    token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Location:
    """Where a bucket answers. `endpoint` is None for AWS itself (virtual-hosted), else path-style below it."""

    bucket: str
    region: str
    endpoint: str | None = None

    def url(self, key: str) -> str:
        """The unsigned URL of a key."""
        path = quote(key, safe="/-_.~")
        if self.endpoint is None:
            if "." in self.bucket:
                return f"https://s3.{self.region}.amazonaws.com/{self.bucket}/{path}"
            return f"https://{self.bucket}.s3.{self.region}.amazonaws.com/{path}"
        return f"{self.endpoint.rstrip('/')}/{self.bucket}/{path}"


def presign(
    location: Location,
    credentials: Credentials,
    method: str,
    key: str,
    validity: Validity,
    filename: str | None = None,
) -> str:
    """The URL that allows `method` on `key` for the validity. Raises BadInput for an unusable file name."""
    parts = urlsplit(location.url(key))
    stamp = datetime.fromtimestamp(validity.issued, UTC).strftime("%Y%m%dT%H%M%SZ")
    scope = f"{stamp[:8]}/{location.region}/s3/aws4_request"
    query = {
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
        "X-Amz-Credential": f"{credentials.access_key}/{scope}",
        "X-Amz-Date": stamp,
        "X-Amz-Expires": str(validity.seconds),
        "X-Amz-SignedHeaders": "host",
    }
    if credentials.token:
        query["X-Amz-Security-Token"] = credentials.token
    if filename is not None:
        query["response-content-disposition"] = attachment(filename)
    canonical = "&".join(f"{quote(name, safe='-_.~')}={quote(query[name], safe='-_.~')}" for name in sorted(query))
    request = "\n".join((method, parts.path, canonical, f"host:{parts.netloc}\n", "host", "UNSIGNED-PAYLOAD"))
    text = "\n".join(("AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(request.encode()).hexdigest()))
    secret = f"AWS4{credentials.secret_key}".encode()
    for word in scope.split("/"):
        secret = hmac.digest(secret, word.encode(), hashlib.sha256)
    signature = hmac.digest(secret, text.encode(), hashlib.sha256).hex()
    return f"{parts.scheme}://{parts.netloc}{parts.path}?{canonical}&X-Amz-Signature={signature}"
