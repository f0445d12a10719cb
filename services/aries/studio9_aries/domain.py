"""The rules of Aries' collections: who writes what, what must be in a document, which organisation sees it.

Pure functions. Aries decides nothing about a job; it only keeps what the owners write, in the form they agreed on.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

from pydantic import ValidationError

from studio9_common.contracts.collections import COLLECTIONS, JOBS, job_fields
from studio9_common.contracts.documents import BulkItem
from studio9_common.contracts.job import known
from studio9_common.documents.port import Index, Stored, Where, Write
from studio9_common.errors import BadInput, Forbidden, NotFound, Studio9Error
from studio9_common.tokens import Caller

SYSTEM = "system"
_OWNERS = {"claims": "taurus"}
_DEFAULT_OWNER = "orion"
_READERS = frozenset({"orion", "baile", "taurus", "pegasus"})
_CONDITIONAL = frozenset({"jobs", "claims", "scheduler", "members"})
"""Collections in which every write names the version that it replaces."""


class UnknownCollection(NotFound):
    """There is no such collection; see `studio9_common.contracts.collections`."""


class PreconditionRequired(Studio9Error):
    """A write to this collection names the version that it replaces; send If-Match with the document's ETag."""

    status = 428
    code = "precondition_required"


def collection_of(name: str) -> Index:
    """Raises UnknownCollection."""
    index = COLLECTIONS.get(name)
    if index is None:
        raise UnknownCollection(f"there is no collection {name}", field="collection", value=name)
    return index


def check_reader(caller: Caller) -> None:
    """Raises Forbidden for callers that have no business here, workers' tokens among them."""
    if caller.service not in _READERS or caller.job is not None:
        raise Forbidden(f"{caller.service} does not read Aries")


def check_writer(caller: Caller, index: Index) -> None:
    """Raises Forbidden unless the caller owns the collection."""
    owner = _OWNERS.get(index.name, _DEFAULT_OWNER)
    if caller.service != owner or caller.job is not None:
        raise Forbidden(f"{index.name} is written by {owner} alone")


def visible(caller: Caller, body: Mapping[str, Any]) -> bool:
    """Whether the caller may see a document: its own organisation's, or any when it acts for the system."""
    return caller.organisation in (SYSTEM, body.get("organisation"))


def scoped(caller: Caller, where: Where) -> Where:
    """The condition, narrowed to the caller's organisation."""
    if caller.organisation == SYSTEM:
        return where
    return replace(where, equals={**where.equals, "organisation": caller.organisation})


def bound(caller: Caller, write: Write, stored: Stored | None) -> Write | NotFound:
    """A write for one organisation, tied to the version that was looked at: another's document is not there for it."""
    if stored is not None and not visible(caller, stored.body):
        return NotFound(f"there is no {write.index}/{write.id}")
    if write.version is not None:
        return write
    if stored is None:
        return replace(write, action="create") if write.action == "put" else write
    action: Literal["replace", "delete"] = "replace" if write.action == "put" else "delete"
    return replace(write, action=action, version=stored.version)


def check_write(caller: Caller, index: Index, item: BulkItem) -> None:
    """Raises BadInput, Forbidden or PreconditionRequired, naming what is wrong with a write."""
    unconditional = item.action == "put" or (item.action == "delete" and item.etag is None)
    if unconditional and index.name in _CONDITIONAL:
        raise PreconditionRequired
    if item.action == "delete":
        return
    if item.action == "replace" and item.etag is None:
        raise PreconditionRequired
    if item.body is None:
        raise BadInput(f"a {item.action} needs a body", field="body")
    organisation = item.body.get("organisation")
    if not isinstance(organisation, str) or not organisation:
        raise BadInput("a document names its organisation", field="organisation", fix=f"use {SYSTEM} for none")
    if caller.organisation not in (SYSTEM, organisation):
        raise Forbidden("this call is made for another organisation", field="organisation", value=organisation)
    check = _CHECKS.get(index.name)
    if check is not None:
        check(item.id, item.body)


def _check_job(id: str, body: Mapping[str, Any]) -> None:
    try:
        job = known(body["job"])
    except KeyError:
        raise BadInput("a job document holds the whole job in `job`", field="job") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        name = ".".join(("job", *map(str, first["loc"])))
        raise BadInput(f"{name}: {first['msg']}", field=name) from None
    if job.id != id:
        raise BadInput("the job has another id", field="job.id", value=job.id)
    expected = job_fields(job)
    for name in JOBS.fields:
        if name != "job" and body.get(name) != expected.get(name):
            raise BadInput(
                f"{name} does not follow from the job", field=name, value=body.get(name), fix="use job_document()"
            )


def _check_beat(id: str, body: Mapping[str, Any]) -> None:
    if id != f"{body.get('job')}:{body.get('fence')}":
        raise BadInput("the id of a beat is job:fence", field="id", value=id)


def _check_telemetry(id: str, body: Mapping[str, Any]) -> None:
    if id != f"{body.get('job')}:{body.get('fence')}:{body.get('sequence')}":
        raise BadInput("the id of telemetry is job:fence:sequence", field="id", value=id)


def _check_result(id: str, body: Mapping[str, Any]) -> None:
    if id != body.get("job"):
        raise BadInput("the id of a result is its job's", field="id", value=id)


_CHECKS = {
    "jobs": _check_job,
    "beats": _check_beat,
    "telemetry": _check_telemetry,
    "results": _check_result,
}
