"""What an input must be like, whoever asks for it: Baile checks before it queues, Orion before it accepts, and a worker
before it stages.
"""

import re

from studio9_common.contracts.job import PLATFORMS_INPUTS, Input, Source, Spec
from studio9_common.errors import BadInput

BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
"""https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html"""
REGION = re.compile(r"[a-z0-9-]{1,40}")
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
"""An input's name where it lies in a user's bucket: it becomes a folder's."""
REFERENCE = re.compile(r"[A-Za-z0-9_-]{1,64}")
ENDPOINT = re.compile(r"https?://[A-Za-z0-9.:\[\]-]{1,260}/?")
LONGEST_KEY = 900
SHA256 = re.compile(r"[0-9a-f]{64}")


def check_inputs(spec: Spec) -> None:
    """Raises BadInput for the first input that cannot be: neither or both of `ref` and `source`, or a source that is
    none."""
    for number, one in enumerate(spec.inputs):
        field = f"inputs.{number}"
        if (one.ref is None) == (one.source is None):
            raise BadInput(
                "An input has one origin", field=field, value=one.name[:64], fix="give it either a ref or a source"
            )
        if one.source is not None:
            check_source(one, one.source, field)
            if sum(other.name.partition("/")[0] == one.name for other in spec.inputs) > 1:
                raise BadInput("Two inputs have one name", field=f"{field}.name", value=one.name, fix="rename one")
        elif one.kind == "folder":
            raise BadInput("A folder lies in a bucket", field=field, value=one.name[:64], fix="give it a source")


def check_source(one: Input, source: Source, field: str) -> None:
    """Raises BadInput, which names what is wrong below `field`. Where an endpoint leads is checked where it is
    called."""

    def refuse(name: str, value: str | None, message: str, fix: str) -> None:
        raise BadInput(message, field=f"{field}.{name}", value=None if value is None else value[:200], fix=fix)

    if not NAME.fullmatch(one.name):
        refuse("name", one.name, "Input name is invalid", "use 1 to 64 of a-z, 0-9, _ and -")
    if one.name in PLATFORMS_INPUTS:
        refuse("name", one.name, "Input name is the platform's own", "choose another name")
    if not BUCKET.fullmatch(source.bucket):
        refuse("bucket", source.bucket, "Bucket name is invalid", "write the bucket's name, without s3://")
    if not REGION.fullmatch(source.region):
        refuse("region", source.region, "Region is invalid", "write it as us-east-1")
    if source.endpoint is not None and not ENDPOINT.fullmatch(source.endpoint):
        refuse("endpoint", source.endpoint, "Endpoint is invalid", "write https://host or https://host:port")
    if not REFERENCE.fullmatch(source.credential):
        refuse("credential", None, "Credential is no reference", "give the id of a stored credential")
    if (source.key is None) == (source.prefix is None):
        refuse("key", source.key, "Key and prefix exclude each other", "give a key (a file) or a prefix (a folder)")
    if one.kind != ("file" if source.prefix is None else "folder"):
        refuse("kind", one.kind, "Kind does not fit", "a key makes a file, a prefix a folder")
    if source.key is not None and not _is_key(source.key):
        refuse("key", source.key, "Key is invalid", "write a/b.c, without empty or dotted parts")
    if source.prefix and not (source.prefix.endswith("/") and _is_key(source.prefix[:-1])):
        refuse("prefix", source.prefix, "Prefix is invalid", "write a/b/, with a slash at its end, or nothing for all")
    if source.sha256 is not None and not (source.key is not None and SHA256.fullmatch(source.sha256)):
        refuse("sha256", source.sha256, "sha256 is invalid", "write 64 hex digits, and only for a key")


def _is_key(key: str) -> bool:
    parts = key.split("/")
    return (
        0 < len(key.encode(errors="replace")) <= LONGEST_KEY
        and key.isprintable()
        and "\\" not in key
        and not any(part in ("", ".", "..") for part in parts)
    )
