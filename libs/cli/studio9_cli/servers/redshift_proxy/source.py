"""The objects of a COPY, fetched from S3 with signed requests, as one stream of rows.

The manifest's format: Redshift's Database Developer Guide, "Using a manifest to specify data files".
"""

import gzip
import io
import json
import zlib
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from studio9_cli.servers.redshift_proxy.loads import Copy

CHUNK = 256 * 1024


class LoadFailed(Exception):
    """An object of the load cannot be read; the message names it."""


def rows(copy: Copy) -> Iterator[bytes]:
    """The rows of every object, header lines left out, in chunks that end anywhere. Blocking. Raises `LoadFailed`."""
    client = _client(copy)
    for bucket, key in _objects(client, copy):
        try:
            body = client.get_object(Bucket=bucket, Key=key)["Body"]
            yield from _lines(body, copy)
        except (BotoCoreError, ClientError, OSError, EOFError, zlib.error) as error:
            raise LoadFailed(f"s3://{bucket}/{key}: {error}") from None


def _client(copy: Copy) -> Any:
    keys = copy.credentials
    return boto3.client(
        "s3",
        aws_access_key_id=keys.get("access_key"),
        aws_secret_access_key=keys.get("secret_key"),
        aws_session_token=keys.get("token"),
        config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 3}, signature_version="s3v4"),
    )


def _objects(client: Any, copy: Copy) -> list[tuple[str, str]]:
    try:
        if copy.manifest:
            return list(_manifest(client, copy))
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=copy.bucket, Prefix=copy.key)
        found = [(copy.bucket, str(item["Key"])) for page in pages for item in page.get("Contents", ())]
    except (BotoCoreError, ClientError) as error:
        raise LoadFailed(f"s3://{copy.bucket}/{copy.key}: {error}") from None
    if not found:
        raise LoadFailed(f"The specified S3 prefix '{copy.key}' does not exist")
    return found


def _manifest(client: Any, copy: Copy) -> Iterator[tuple[str, str]]:
    text = client.get_object(Bucket=copy.bucket, Key=copy.key)["Body"].read()
    try:
        entries = [(urlsplit(entry["url"]), bool(entry.get("mandatory"))) for entry in json.loads(text)["entries"]]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise LoadFailed(f"s3://{copy.bucket}/{copy.key} is not a manifest: entries with a url each") from None
    for url, mandatory in entries:
        bucket, key = url.netloc, url.path.lstrip("/")
        try:
            client.head_object(Bucket=bucket, Key=key)
        except ClientError as error:
            if mandatory:
                raise LoadFailed(f"Mandatory url is not present in manifest: {url.geturl()} ({error})") from None
            continue
        yield bucket, key


def _lines(body: Any, copy: Copy) -> Iterator[bytes]:
    stream: Any = gzip.GzipFile(fileobj=body) if copy.gzip else io.BytesIO(body.read())
    for _ in range(copy.skip_lines):
        stream.readline()
    last = b"\n"
    while data := stream.read(CHUNK):
        last = data[-1:]
        yield data
    if last != b"\n":
        yield b"\n"
