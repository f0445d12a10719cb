"""Families as index templates: concrete indexes appear on first write, strictly mapped, each write synced.

Mappings only grow. The fields of a family are kept in the mapping's `_meta`, and ensure() takes the union of what the
code knows and what the store has, so that an older service beside a newer one takes no field away.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from elasticsearch import AsyncElasticsearch

from studio9_common.documents.checking import EXTRA
from studio9_common.documents.port import FieldType, Index, MappingConflict, NotDurable

KEY = "_key"
"""The id once more: sorting on `_id` is off by default."""
WRITE = "_write"
"""The random id of the write that made this version."""

_TYPES: dict[FieldType, dict[str, Any]] = {
    FieldType.keyword: {"type": "keyword"},
    FieldType.long: {"type": "long", "coerce": False},
    FieldType.double: {"type": "double", "coerce": False},
    FieldType.boolean: {"type": "boolean"},
    FieldType.time: {"type": "date_nanos", "format": "yyyy-MM-dd'T'HH:mm:ss.SSSSSSX"},
    FieldType.stored: {"type": "object", "enabled": False},
}


class Catalogue:
    """The families of one prefix in one cluster."""

    def __init__(self, client: AsyncElasticsearch, prefix: str, *, shards: int, replicas: str) -> None:
        self._client, self._prefix = client, prefix
        self._settings = {
            "index.number_of_shards": shards,
            "index.auto_expand_replicas": replicas,
            "index.translog.durability": "request",
        }

    def place(self, index: str) -> str:
        """The store's name of an index."""
        return f"{self._prefix}-{index}"

    def index(self, place: str) -> str:
        """The index of a store's name."""
        return place.removeprefix(f"{self._prefix}-")

    def pattern(self, family: Index) -> str:
        """All indexes of a family: the years 2000 to 2999."""
        return self.place(f"{family.name}-2*" if family.monthly else family.name)

    async def ensure(self, family: Index) -> Index:
        """Template and existing mappings hold all fields, and searches lag as the family says (where it says nothing,
        existing indexes keep what they have); returns the family with the union of the fields.

        Raises MappingConflict where a type would change, NotDurable for an index that does not sync each write.
        """
        template, existing = await asyncio.gather(self._template(family), self._existing(family))
        for place, described in existing.items():
            _check_durable(place, described)
        known = [_fields(item["mappings"]) for item in existing.values()]
        merged = _union(family, [_fields(template and template["mappings"]), *known])
        if template is None or _fields(template["mappings"]) != merged or _lag_of(template) != family.lag_s:
            await self._put_template(family, merged)
        for place, described in existing.items():
            if not described["settings"].items() >= _lag(family).items():
                await self._client.indices.put_settings(index=place, settings=_lag(family))
            if _fields(described["mappings"]) != merged:
                mapping = _mapping(merged)
                await self._client.indices.put_mapping(
                    index=place, properties=mapping["properties"], meta=mapping["_meta"]
                )
        return Index(family.name, merged, family.monthly, family.lag_s)

    async def names(self, family: Index) -> list[str]:
        """The concrete indexes of a family, in order."""
        found = await self._client.indices.get_settings(
            index=self.pattern(family), name="index.uuid", allow_no_indices=True, ignore_unavailable=True
        )
        return sorted(self.index(place) for place in found.body)

    async def forget(self, family: Index) -> None:
        """Removes a family's template."""
        await self._client.options(ignore_status=404).indices.delete_index_template(name=self.place(family.name))

    async def _template(self, family: Index) -> dict[str, Any] | None:
        answer = await self._client.options(ignore_status=404).indices.get_index_template(name=self.place(family.name))
        for item in answer.body.get("index_templates", []):
            template: dict[str, Any] = item["index_template"]["template"]
            return template
        return None

    async def _existing(self, family: Index) -> dict[str, dict[str, Any]]:
        answer = await self._client.indices.get(
            index=self.pattern(family),
            allow_no_indices=True,
            ignore_unavailable=True,
            include_defaults=True,
            flat_settings=True,
        )
        return dict(answer.body)

    async def _put_template(self, family: Index, fields: Mapping[str, FieldType]) -> None:
        await self._client.indices.put_index_template(
            name=self.place(family.name),
            index_patterns=[self.pattern(family)],
            allow_auto_create=True,
            priority=500,
            template={"settings": self._settings | _lag(family), "mappings": _mapping(fields)},
        )


def _lag(family: Index) -> dict[str, Any]:
    return {} if family.lag_s is None else {"index.refresh_interval": f"{family.lag_s}s"}


def _lag_of(template: Mapping[str, Any]) -> int | None:
    text = str(((template.get("settings") or {}).get("index") or {}).get("refresh_interval") or "")
    return int(text[:-1]) if text[-1:] == "s" and text[:-1].isdecimal() else None


def _mapping(fields: Mapping[str, FieldType]) -> dict[str, Any]:
    properties = {name: _TYPES[kind] for name, kind in fields.items()}
    properties[KEY] = {"type": "keyword"}
    properties[WRITE] = {"type": "keyword", "index": False, "doc_values": False}
    meta = {"fields": {name: str(kind) for name, kind in fields.items()}}
    return {"dynamic": "strict", "_meta": meta, "properties": properties}


def _fields(mapping: Mapping[str, Any] | None) -> dict[str, FieldType]:
    known: Mapping[str, str] = ((mapping or {}).get("_meta") or {}).get("fields") or {}
    return {name: FieldType(kind) for name, kind in known.items()}


def _union(family: Index, known: Sequence[Mapping[str, FieldType]]) -> dict[str, FieldType]:
    merged: dict[str, FieldType] = {EXTRA: FieldType.stored}
    for fields in (*known, family.fields):
        for name, kind in fields.items():
            if merged.setdefault(name, kind) is not kind:
                raise MappingConflict(
                    f"{family.name}.{name} is {merged[name]} and cannot become {kind}",
                    field=name,
                    fix="add a field with a new name",
                )
    return merged


def _check_durable(place: str, described: Mapping[str, Any]) -> None:
    name = "index.translog.durability"
    durability = described["settings"].get(name) or (described.get("defaults") or {}).get(name)
    if str(durability).lower() != "request":
        raise NotDurable(
            f"{place} has {name}={durability}, so an acknowledged write could be lost",
            field=name,
            value=durability,
            fix=f"set {name} of {place} to request",
        )
