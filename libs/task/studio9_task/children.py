"""A task may end by asking for children: tasks of their own, whose results its next run gets as inputs.

It announces one artifact, `children`, whose file is an `Asked`, and a result. Its next run goes on from its last
checkpoint, with `children` in the request and what each of them brought in `inputs/children/<name>/`. Children of
children there are none.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from studio9_task.events import OutputPath
from studio9_task.model import Contract, Name, Versioned
from studio9_task.request import Kind

ARTIFACT = "children"
MOST = 8
"""Children that one run may ask for."""


class ChildFile(Contract):
    """An output of a child that ended before this run, by its path among that child's outputs."""

    child: Name
    path: OutputPath


class AskedChild(Contract):
    """A task to run. `inputs` are the parent's own, handed on under their names; each of `files` becomes the input of
    its name. `again`: a child of the last round whose inputs it gets instead."""

    name: Name
    kind: Kind
    framework: Name
    parameters: Mapping[str, Any] = Field(default_factory=dict)
    seed: int = Field(default=0, ge=0, lt=2**32)
    inputs: tuple[Name, ...] = ()
    files: Mapping[Name, ChildFile] = Field(default_factory=dict)
    again: Name | None = None
    bring: tuple[OutputPath, ...] = Field(default=("result.json",), description="outputs that the next run is given")


class Asked(Versioned):
    """`children.json`: what a run asks for."""

    children: tuple[AskedChild, ...] = Field(min_length=1, max_length=MOST)
