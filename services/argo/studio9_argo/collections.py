"""Argo's own indexes."""

from studio9_common.documents.port import FieldType, Index

_k, _t, _l, _b, _s = (
    FieldType.keyword,
    FieldType.time,
    FieldType.long,
    FieldType.boolean,
    FieldType.stored,
)

ENTRIES = Index(
    "entries",
    {
        "organisation": _k, "scope": _k, "project": _k, "service": _k, "key": _k, "version": _l, "deleted": _b,
        "updated_at": _t, "updated_by": _k, "outbox_since": _t, "value": _s, "history": _s, "outbox": _s,
    },
)  # fmt: skip
"""One per scope, service and key; the id is made of them. `outbox_since`: the oldest change not announced yet."""

SCHEMAS = Index("schemas", {"service": _k, "key": _k, "updated_at": _t, "updated_by": _k, "schema": _s})
"""The registered types: id = service/key."""

SECRETS = Index(
    "secrets",
    {
        "organisation": _k, "project": _k, "name": _k, "audiences": _k, "version": _l, "encrypted_with": _k,
        "updated_at": _t, "updated_by": _k, "cipher": _s,
    },
)  # fmt: skip
"""`encrypted_with`: the fingerprint of the key, so that rotation finds what is still under an older one."""

INDEXES = (ENTRIES, SCHEMAS, SECRETS)
