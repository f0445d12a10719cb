"""From a closed batch's claims to the request for its prediction: the same claims always give the same request."""

import hashlib
import io
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any

from studio9_common.contracts.configuration import StreamConfig
from studio9_common.contracts.job import CODE, Input, ObjectRef, Provenance, Spec
from studio9_common.contracts.messages import JobRequested
from studio9_common.objects.port import Objects
from studio9_task.layout import MODEL
from studio9_task.pictures import PictureRecord
from studio9_taurus.claims import Stored

KIND = "predict"
CONTEXT = "stream"
"""The key in a job's context that says which stream asked for it."""


def records(claims: Sequence[Stored]) -> list[PictureRecord]:
    """The picture manifest's lines; the claim's id is the picture's until Baile has one."""
    return [
        PictureRecord(
            picture_id=claim.id,
            version=claim.data["sha256"],
            sha256=claim.data["sha256"],
            key=claim.data["object"],
            filename=PurePosixPath(claim.data["key"]).name,
            size=claim.data["size"],
            width=claim.data["width"],
            height=claim.data["height"],
        )
        for claim in claims
    ]


async def request(
    objects: Objects, batch: str, organisation: str, config: StreamConfig, claims: Sequence[Stored]
) -> JobRequested:
    """Writes the manifest (or finds it written) and gives the request. Raises Unavailable."""
    text = io.StringIO()
    for record in records(claims):
        text.write(record.model_dump_json() + "\n")
    content = text.getvalue().encode()
    digest = hashlib.sha256(content).hexdigest()
    key = f"{organisation}/online/{batch}/manifest.jsonl"
    await objects.put(key, content, content_type="application/x-ndjson", sha256=digest)
    inputs = [Input(name=KIND, kind="pictures", ref=ObjectRef(key=key, sha256=digest, size=len(content)))]
    if config.checkpoint is not None:
        inputs.append(Input(name=MODEL, kind="file", ref=config.checkpoint))
    if config.code is not None:
        inputs.append(Input(name=CODE, kind="file", ref=config.code))
    context: dict[str, Any] = {CONTEXT: config.stream, "album": config.album, "pictures": len(claims)}
    return JobRequested(
        job=batch,
        owner=config.owner,
        project=config.project,
        spec=Spec(
            kind=KIND,
            framework=config.framework,
            parameters=dict(config.parameters),
            inputs=tuple(inputs),
            provenance=Provenance(
                source="online",
                model_id=config.model,
                model_version=config.model_version,
                dataset_version=config.dataset_version,
                stream=config.stream,
            ),
        ),
        context=context,
    )
