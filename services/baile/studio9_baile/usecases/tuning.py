"""Searching a model's settings: a job whose trials are jobs of their own, and whose best model becomes a version."""

import asyncio
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from studio9_baile.core import Caller, Core
from studio9_baile.models.jobs import Process
from studio9_baile.models.learned import DatasetManifest, ModelVersion
from studio9_baile.usecases.access import check_owner
from studio9_baile.usecases.catalogue import framework_of
from studio9_baile.usecases.code_packages import usable
from studio9_baile.usecases.training import (
    OwnCode,
    begin,
    inputs_of,
    judged,
    new_version,
    requirements_of,
    trainable,
)
from studio9_common.contracts.job import Spec
from studio9_common.errors import BadInput
from studio9_task.tuning import Range, TuneParameters
from studio9_task.validate import validate_search

TUNE = "tune"
"""The kind of the task."""
INPUTS = ("train", "val")
"""What a search sees; test pictures are for whoever judges what it has found."""
LEAST_PICTURES = 5
"""Of fewer none can be held back to compare trials on."""
_BLOCK = 1 << 18
"""Bytes of a manifest that are looked at in one go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What a search tries: `vary` by the head's parameters, and `rate`; so many `trials`, `at_once` at a time, of each
    `factor` one goes on to the next rung."""

    vary: Mapping[str, Range]
    trials: int
    at_once: int
    factor: int


async def tune(
    core: Core,
    caller: Caller,
    model_id: str,
    dataset_version: str,
    profile: str | None,
    config: Mapping[str, Any],
    search: Search,
    *,
    framework: str | None = None,
    own: OwnCode | None = None,
) -> tuple[Process, ModelVersion]:
    """Queues a search, whose best model becomes a new version of the model. What a search doesn't vary is as in the
    config. Raises NotFound for the model, AccessDenied, BadInput for an unknown dataset version, profile, code package
    or parameter, and for values that are out of range."""
    async with core.database.read(caller.organisation) as work:
        check_owner(caller, await work.models.get(model_id))
    catalogue = await core.catalogue.current()
    train, head = judged(catalogue, config, framework, own)
    parameters = TuneParameters(
        framework=head.framework,
        train=train,
        vary=search.vary,
        trials=search.trials,
        at_once=search.at_once,
        factor=search.factor,
    )
    if problems := validate_search(head, parameters):
        first = problems[0]
        field = first.field.replace("train.", "config.", 1) if first.field.startswith("train.") else first.field
        raise BadInput("The search cannot be used", field=field, value=first.value, fix=first.fix)
    searching = framework_of(catalogue, TUNE)
    requirements = requirements_of(core, profile)
    async with core.database.read(caller.organisation) as work:
        _, manifests = await trainable(work, caller, dataset_version, head)
    await _check_enough(core, manifests)
    async with core.database.write(caller.organisation) as work:
        model = await work.models.get(model_id, lock=True)
        check_owner(caller, model)
        data, manifests = await trainable(work, caller, dataset_version, head, lock=True)
        code = None if own is None else await usable(work, caller, own.package, own.entry)
        version = await new_version(work, model, data, train, head, code)
        spec = Spec(
            kind=TUNE,
            framework=searching,
            parameters=parameters.model_dump(mode="json", exclude_none=True),
            inputs=inputs_of(manifests, INPUTS, code),
            requirements=requirements,
        )
        process = begin(core, work, caller, model, version, spec)
    return process, version


async def _check_enough(core: Core, manifests: Mapping[str, DatasetManifest]) -> None:
    """Raises BadInput where there is nothing to compare trials on: no `val`, and nothing that can be held back."""
    if "val" in manifests:
        return
    if manifests["train"].pictures < LEAST_PICTURES:
        raise BadInput(
            "Dataset version has too few pictures to hold some back",
            field="dataset_version_id",
            value=manifests["train"].pictures,
            fix=f"make one with an album `val`, or with {LEAST_PICTURES} pictures or more to train on",
        )
    if await _of_one_origin(core, manifests["train"]):
        raise BadInput(
            "The pictures are all of one origin (one video), of which none can be held back",
            field="dataset_version_id",
            value=manifests["train"].dataset_version,
            fix="make one with an album `val`, of other pictures than these",
        )


async def _of_one_origin(core: Core, manifest: DatasetManifest) -> bool:
    """Whether no split may part any of its pictures; as a rule the first lines tell."""
    found, rest = set[str](), b""
    for start in range(0, manifest.size, _BLOCK):
        length = min(_BLOCK, manifest.size - start)
        *lines, rest = (rest + await core.objects.get(manifest.key, start=start, length=length)).split(b"\n")
        found |= await asyncio.to_thread(_origins, lines)
        if len(found) > 1:
            return False
    return True


def _origins(lines: Iterable[bytes]) -> set[str]:
    """What the pictures of these lines of a manifest come from."""
    records = map(json.loads, lines)
    return {record.get("group") or record["sha256"] for record in records}
