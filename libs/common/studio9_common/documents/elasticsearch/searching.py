"""Conditions and paging in Elasticsearch's query language."""

from collections.abc import Mapping, Sequence
from typing import Any

from studio9_common.documents.checking import alternatives, check_where
from studio9_common.documents.elasticsearch.indexes import KEY
from studio9_common.documents.port import FieldType, Index, Where

_UNMAPPED = {FieldType.time: "date_nanos", FieldType.stored: "keyword"}


def _name(field: str) -> str:
    return KEY if field == "id" else field


def query_of(family: Index, where: Where) -> dict[str, Any]:
    """The query of a condition. Raises BadInput for one that the family cannot answer."""
    check_where(family.fields, where)
    must = [_equals(name, value) for name, value in where.equals.items()]
    must_not = [_equals(name, value) for name, value in where.differs.items()]
    must += [{"range": {_name(name): {"gte": value}}} for name, value in where.at_least.items()]
    must += [{"range": {_name(name): {"lt": value}}} for name, value in where.below.items()]
    must += [{"prefix": {_name(name): text}} for name, text in where.prefix.items()]
    return {"bool": {"filter": must, "must_not": must_not}}


def _equals(field: str, value: Any) -> dict[str, Any]:
    values, missing = alternatives(value)
    either: list[dict[str, Any]] = []
    if values:
        either.append({"terms": {_name(field): values}})
    if missing:
        either.append({"bool": {"must_not": {"exists": {"field": _name(field)}}}})
    if not either:
        return {"match_none": {}}
    return either[0] if len(either) == 1 else {"bool": {"should": either, "minimum_should_match": 1}}


def sort_of(fields: Mapping[str, FieldType], keys: Sequence[tuple[str, bool]]) -> list[dict[str, Any]]:
    """The sort clause: missing values last either way."""
    clauses: list[dict[str, Any]] = []
    for field, descending in keys:
        kind = FieldType.keyword if field == "id" else fields[field]
        clauses.append(
            {
                _name(field): {
                    "order": "desc" if descending else "asc",
                    "missing": "_last",
                    "unmapped_type": _UNMAPPED.get(kind, str(kind)),
                }
            }
        )
    return clauses
