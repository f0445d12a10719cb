"""Names of indexes and ids of documents: a family (`jobs`), and with `monthly` one index per month (`jobs-2026.11`)."""

import re
from collections.abc import Mapping

from studio9_common.documents.port import Index
from studio9_common.errors import BadInput
from studio9_common.ids import month_of

_FAMILY = re.compile(r"[a-z][a-z0-9_]{0,63}")
_FIELD = re.compile(r"[a-z][a-z0-9_]{0,63}")
_NAME = re.compile(r"(?P<family>[a-z][a-z0-9_]{0,63})(-(?P<month>\d{4}\.\d{2}))?")
MAX_ID = 512
"""Bytes of an id in UTF-8."""


def index_of(index: Index, id: str) -> str:
    """The index that holds a document: of a monthly family by the month of the UUIDv7 that its id is or begins with
    (up to the first `:`). Raises BadInput for an id without one."""
    if not index.monthly:
        return index.name
    try:
        return f"{index.name}-{month_of(id.partition(':')[0])}"
    except ValueError:
        raise BadInput(f"the id of a document in {index.name} begins with a UUIDv7", field="id", value=id) from None


def check_family(index: Index) -> None:
    """Raises BadInput for a family or field name that not every store can hold."""
    if not _FAMILY.fullmatch(index.name):
        raise BadInput("an index family is named in [a-z0-9_]", field="name", value=index.name)
    for name in index.fields:
        if not _FIELD.fullmatch(name) or name == "id":
            raise BadInput(f"{index.name}: a field is named in [a-z0-9_] and not `id`", field=name)


def check_id(id: str) -> None:
    """Raises BadInput for an id that is empty, over 512 bytes, or holds control characters."""
    if not id or len(id.encode()) > MAX_ID or not id.isprintable():
        raise BadInput("an id is 1 to 512 bytes of printable text", field="id", value=id[:64])


def family_of(families: Mapping[str, Index], index: str, *, concrete: bool = True) -> Index:
    """The known family of an index. With `concrete` a monthly one must name its month. Raises BadInput."""
    match = _NAME.fullmatch(index)
    family = families.get(match["family"]) if match else None
    if match is None or family is None:
        raise BadInput("no such index family; make it known with ensure() first", field="index", value=index)
    if match["month"] and not family.monthly:
        raise BadInput(f"{family.name} has no months", field="index", value=index)
    if concrete and family.monthly and not match["month"]:
        raise BadInput(f"name the month, such as {family.name}-2026.11", field="index", value=index)
    return family
