"""Model files: a model version as one file, to keep or to bring in elsewhere.

The file is a JSON head in UTF-8, one NUL byte, and the weights as the trainer stored them. The head says what they are
and how they must hash; trainers load weights without running anything that is in them.
"""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from studio9_baile.core import Caller, Core
from studio9_baile.models.jobs import ProcessStatus, ResultState
from studio9_baile.models.learned import Model, Stage, VersionStatus
from studio9_baile.security.names import asset_name, text, unstorable
from studio9_baile.usecases.access import check_read
from studio9_baile.usecases.assets import check_name, name_of
from studio9_baile.usecases.changes import Kind, changed
from studio9_baile.usecases.models import SeenModel
from studio9_baile.usecases.pictures import Upload
from studio9_baile.usecases.pipeline import CONSUMERS, refusal
from studio9_baile.usecases.predictions import weights
from studio9_baile.usecases.quotas import check_room
from studio9_common.contracts.job import ObjectRef
from studio9_common.errors import BadInput
from studio9_common.ids import new_id
from studio9_task.catalogue import Catalogue
from studio9_task.problems import describe
from studio9_task.validate import validate_pair

LARGEST_HEAD = 5 << 20
CHUNK = 1 << 20
IMPORT = "import_model"
"""The kind of the process that tells of an import; it has ended when it is told of."""


class BadModelFile(BadInput):
    """This is no model file that can be used; export one here or from another Studio9 and bring it in unchanged."""

    code = "bad_model_file"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=(), allow_inf_nan=False)


class Weights(_Part):
    """The bytes after the head."""

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    size: int = Field(ge=1)


class Head(_Part):
    """What the file says of itself."""

    format: Literal["studio9-model"] = "studio9-model"
    version: Literal[1] = 1
    name: str = Field(max_length=255)
    description: str | None = Field(default=None, max_length=10_000)
    tl_type: Literal["CLASSIFICATION", "LOCALIZATION", "AUTOENCODER"]
    framework: str = Field(min_length=1, max_length=100)
    architecture: str = Field(min_length=1, max_length=100)
    head: str = Field(min_length=1, max_length=100)
    labels: list[str] = Field(max_length=100_000)
    parameters: dict[str, Any]
    figures: dict[str, Any] | None = None
    weights: Weights


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A model's file to be sent: its head, and where the weights lie."""

    model: Model
    head: bytes
    weights: ObjectRef


async def export_model(core: Core, caller: Caller, identifier: str, share: str | None = None) -> ModelFile:
    """A model's file. Raises NotFound, AccessDenied, BadInput for one without weights."""
    async with core.database.read(caller.organisation) as work:
        model = await work.models.get(identifier)
        await check_read(work, caller, Kind.CV_MODEL, model, share)
        version = await work.versions.latest_of(model.id)
    stored = weights(version, "id")
    head = Head.model_validate(
        {
            "name": model.name,
            "description": model.description,
            "tl_type": version.tl_type,
            "framework": version.framework,
            "architecture": version.architecture,
            "head": version.head,
            "labels": version.labels or [],
            "parameters": version.parameters,
            "figures": version.figures,
            "weights": {"sha256": stored.sha256, "size": stored.size},
        }
    )
    return ModelFile(model, head.model_dump_json(exclude_none=True).encode() + b"\0", stored)


async def read_model_file(core: Core, file: ModelFile) -> AsyncIterator[bytes]:
    """The file's bytes."""
    yield file.head
    async for chunk in await core.objects.stream(file.weights.key):
        yield chunk


async def import_model(core: Core, caller: Caller, upload: Upload, name: str | None) -> SeenModel:
    """Brings a model file in, checked in full; the model can be used at once. Raises BadModelFile, BadInput,
    Conflict; then nothing is changed."""
    wanted = name_of(Kind.CV_MODEL, name)
    head, offset = await asyncio.to_thread(_read, upload)
    _check_offered(head, await core.catalogue.current())
    async with core.database.read(caller.organisation) as work:
        await check_name(work, Kind.CV_MODEL, caller.user, wanted)
        await check_room(core, work, size=head.weights.size)
    version_id = new_id()
    key = f"{caller.organisation}/models/{version_id}/model.pt"
    await core.objects.put(key, _chunks(upload.path, offset), sha256=head.weights.sha256)
    async with core.database.write(caller.organisation) as work:
        await check_name(work, Kind.CV_MODEL, caller.user, wanted)
        model = work.models.make(
            owner=caller.user, name=wanted, description=text(head.description, "description"), in_library=True
        )
        await work.flush()
        version = work.versions.make(
            id=version_id,
            model=model.id,
            number=1,
            status=VersionStatus.ACTIVE,
            stage=Stage.candidate,
            framework=head.framework,
            architecture=head.architecture,
            head=head.head,
            tl_type=head.tl_type,
            labels=head.labels,
            parameters=head.parameters,
            figures=head.figures,
            artifact_key=key,
            artifact_profile=core.objects.profile,
            artifact_sha256=head.weights.sha256,
            artifact_size=head.weights.size,
        )
        work.processes.make(
            owner=caller.user,
            kind=IMPORT,
            job_type="CV_MODEL_IMPORT",
            target=Kind.CV_MODEL.value,
            target_id=model.id,
            listed=True,
            context={},
            status=ProcessStatus.COMPLETED,
            progress=1.0,
            attempt=0,
            started_at=work.now,
            ended_at=work.now,
            result_state=ResultState.done,
            fill_failures=0,
        )
        changed(work, Kind.CV_MODEL, model.id, "imported", by=caller, status=version.status)
    return SeenModel(model, version)


def _read(upload: Upload) -> tuple[Head, int]:
    """The head, and where the weights begin. Raises BadModelFile. Blocks."""
    with upload.path.open("rb") as file:
        start = file.read(LARGEST_HEAD + 1)
        end = start.find(b"\0")
        if end < 0:
            raise BadModelFile("The file has no head of a model file", field="file")
        try:
            head = Head.model_validate_json(start[:end])
            asset_name(head.name, "Model", "file")
        except ValidationError as error:
            raise BadModelFile(f"The file's head cannot be used: {describe(error)}", field="file") from None
        texts = [head.name, head.description or "", *head.labels, json.dumps([head.parameters, head.figures])]
        if any(unstorable(one) for one in texts) or len(set(head.labels)) < len(head.labels):
            raise BadModelFile("The file's head has texts that cannot be used, or a label twice", field="file")
        if upload.size - end - 1 != head.weights.size:
            raise BadModelFile("The file is cut off, or was changed", field="file")
        file.seek(end + 1)
        digest = hashlib.sha256()
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    if digest.hexdigest() != head.weights.sha256:
        raise BadModelFile("The weights are not those that the file's head names", field="file")
    return head, end + 1


def _check_offered(head: Head, catalogue: Catalogue) -> None:
    """Raises BadInput where no worker could run the model."""
    problems = validate_pair(catalogue, head.architecture, head.head)
    if problems:
        raise refusal([one.model_copy(update={"field": f"file.{one.field}"}) for one in problems])
    found = next(one for one in catalogue.heads if one.id == head.head)
    if (found.consumer, found.framework) != (CONSUMERS[head.tl_type], head.framework):
        raise BadModelFile(f"{head.head} is a {found.consumer} of {found.framework} here", field="file")
    if catalogue.needs_code(head.framework):
        fix = "train it here, with its code"
        raise BadModelFile(
            "The model works with code of its maker's own alone, which no model file holds", field="file", fix=fix
        )


async def _chunks(path: Path, offset: int) -> AsyncIterator[bytes]:
    with await asyncio.to_thread(path.open, "rb") as file:
        file.seek(offset)
        while chunk := await asyncio.to_thread(file.read, CHUNK):
            yield chunk
