"""Children of a task: what its last run asked for comes back as inputs, and what it asks for now becomes requests."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from studio9_common.contracts.job import CODE, Child, ChildRequest, Input, ObjectRef, Spec, State
from studio9_common.contracts.predictions import AttemptManifest
from studio9_common.contracts.reasons import ReasonClass
from studio9_common.objects.port import Objects
from studio9_task.children import ARTIFACT, Asked, AskedChild
from studio9_task.errors import UnsafeName
from studio9_task.layout import TaskFolder
from studio9_task.problems import describe
from studio9_task.request import EndedChild
from studio9_task.safe import open_output, output_path
from studio9_worker.outputs import BadOutput
from studio9_worker.records import AttemptRecord
from studio9_worker.told import Told

MOST_BYTES = 20 * 1024
"""Of the file in which a task asks, and of the requests that it becomes: they share a message with the result."""
_REQUESTS: TypeAdapter[tuple[ChildRequest, ...]] = TypeAdapter(tuple[ChildRequest, ...])


def asks(told: Told) -> str | None:
    """The path of the file in which a task has asked for children; none where it has not."""
    return next((one.path for one in told.artifacts.values() if one.name == ARTIFACT), None)


def ended_child(one: Child) -> EndedChild:
    """What a task is told of a child. A user's mistake is its settings'; whatever else went wrong may go well again."""
    failed = one.reason is not None and one.reason.class_ is not ReasonClass.user
    state = one.state or State.cancelled
    return EndedChild.model_validate(
        {
            "name": one.name,
            "state": state.value,
            "lost": state is State.failed and failed,
            "message": one.reason.message[:4_000] if one.reason else "",
        }
    )


async def bring_children(
    record: AttemptRecord, folder: TaskFolder, objects: Objects, link: Callable[[ObjectRef, Path], Awaitable[None]]
) -> None:
    """Brings the wanted outputs of children that completed. Raises what `link` raises."""
    for one in record.run.children:
        if one.manifest is None or not one.bring:
            continue
        manifest = await read_manifest(objects, one.manifest)
        for path, ref in outputs_of(manifest).items():
            if path in one.bring:
                await link(ref, folder.child(one.name) / output_path(path))


async def read_manifest(objects: Objects, ref: ObjectRef) -> AttemptManifest:
    """What a child has made."""
    return AttemptManifest.model_validate_json(await objects.get(ref.key))


def outputs_of(manifest: AttemptManifest) -> dict[str, ObjectRef]:
    """A child's announced outputs by their paths."""
    return {
        one.name: ObjectRef(key=one.key, sha256=one.sha256, size=one.size) for one in manifest.files if one.artifact
    }


async def requested(record: AttemptRecord, outputs: Path, path: str, objects: Objects) -> tuple[ChildRequest, ...]:
    """The requests of a file that asks for children. A task names its own inputs and its children's outputs, never an
    object. Raises BadOutput, naming what can't be."""
    try:
        content = await asyncio.to_thread(_read, outputs, path)
        if len(content) > MOST_BYTES:
            raise BadOutput(f"{path!r} asks for children in more than {MOST_BYTES} bytes: ask for fewer at once")
        asked = Asked.model_validate_json(content)
        known = {one.name: one for one in record.run.children}
        made = tuple([await _request(record.run.spec, one, known, objects) for one in asked.children])
        if (size := len(_REQUESTS.dump_json(made))) > MOST_BYTES:
            raise BadOutput(f"{path!r} asks for children whose requests are {size} bytes, over {MOST_BYTES}")
        return made
    except ValidationError as error:
        raise BadOutput(f"{path!r} cannot ask for children: {describe(error)}") from None
    except (UnsafeName, FileNotFoundError) as error:
        raise BadOutput(str(error)) from None


def _read(outputs: Path, path: str) -> bytes:
    with open_output(outputs, path) as file:
        return file.read(MOST_BYTES + 1)


async def _request(own: Spec, asked: AskedChild, known: dict[str, Child], objects: Objects) -> ChildRequest:
    if asked.again is not None:
        inputs = _child(known, asked, asked.again).spec.inputs
    else:
        inputs = (*_handed_on(own.inputs, asked), *[await _file(asked, name, known, objects) for name in asked.files])
    spec = Spec(
        kind=asked.kind,
        framework=asked.framework,
        parameters=asked.parameters,
        seed=asked.seed,
        inputs=_trusted_no_more(own.inputs, inputs),
    )
    return ChildRequest(name=asked.name, spec=spec, bring=asked.bring)


def _handed_on(own: Sequence[Input], asked: AskedChild) -> list[Input]:
    names = {one.name.partition("/")[0] for one in own}
    if missing := sorted(set(asked.inputs) - names):
        raise BadOutput(f"child {asked.name!r}: there is no input {missing[0]!r} to hand on")
    return [one for one in own if one.name.partition("/")[0] in asked.inputs]


def _trusted_no_more(own: Sequence[Input], inputs: Sequence[Input]) -> tuple[Input, ...]:
    """The inputs, and the parent's `code` whether it was asked for or not: what code of the user's own has made or
    chosen runs in a container only, as that code itself."""
    if any(_is_code(one) for one in inputs):
        return tuple(inputs)
    return (*inputs, *(one for one in own if _is_code(one)))


def _is_code(one: Input) -> bool:
    return one.name.partition("/")[0] == CODE


async def _file(asked: AskedChild, name: str, known: dict[str, Child], objects: Objects) -> Input:
    wanted = asked.files[name]
    child = _child(known, asked, wanted.child)
    found = outputs_of(await read_manifest(objects, child.manifest)) if child.manifest is not None else {}
    if wanted.path not in found:
        raise BadOutput(f"child {asked.name!r}: {wanted.child!r} has no output {wanted.path!r}")
    return Input(name=name, kind="file", ref=found[wanted.path])


def _child(known: dict[str, Child], asked: AskedChild, name: str) -> Child:
    if name not in known:
        raise BadOutput(f"child {asked.name!r}: {name!r} is no child of the last run")
    return known[name]
