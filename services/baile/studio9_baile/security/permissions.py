"""What each role may do, and what each request needs. One table for both APIs, so that it can be read and tested whole.

A role says what somebody may do with their own assets and what is shared with them; whose an asset is, is a matter of
`usecases.access`. A personal access token may do what its scopes name, as far as its user's role does, and never what
is its user's alone: change the password, make further tokens.
"""

import re
from collections.abc import Mapping
from enum import StrEnum

from studio9_baile.models.identity import Role
from studio9_common.errors import Forbidden


class Permission(StrEnum):
    """Something that requests need. `personal` is the signed-in user's alone; all others can be a token's scope."""

    read = "read"
    label = "label"
    edit = "edit"
    run = "run"
    manage = "manage"
    personal = "personal"


class NotAllowed(Forbidden):
    """Your role or your token does not allow this; ask an administrator of your organisation."""

    code = "not_allowed"


_VIEWER = frozenset({Permission.read, Permission.personal})
_ANNOTATOR = _VIEWER | {Permission.label}
_EDITOR = _ANNOTATOR | {Permission.edit, Permission.run}
_ADMIN = _EDITOR | {Permission.manage}
GRANTS: Mapping[Role, frozenset[Permission]] = {
    Role.viewer: _VIEWER,
    Role.annotator: _ANNOTATOR,
    Role.editor: _EDITOR,
    Role.admin: _ADMIN,
    Role.owner: _ADMIN,
}
RANKS: Mapping[Role, int] = {role: rank for rank, role in enumerate(reversed(Role))}
"""Nobody gives or takes a role above their own."""
SCOPES = frozenset(Permission) - {Permission.personal}
"""What a personal access token can be made for."""

_ASSETS = r"(albums|cv-models|experiments|cv-predictions|online-jobs|datasets|tables)"
_RULES: tuple[tuple[str, str, Permission | None], ...] = (
    # Whose business users are the use cases say themselves, in Salsa's words.
    (r".*", r"/users(/.*)?", None),
    (r"POST|DELETE", r"/(signout|session)", None),
    (r"POST|PUT|DELETE", r"/(me|tokens|webhooks|notifications)(/.*)?", Permission.personal),
    (r"GET", r"/(audit)", Permission.manage),
    (r"PUT", r"/albums/[^/]+/pictures/[^/]+(/labels)?", Permission.label),
    (r"POST", r"/albums/[^/]+/(uploadLabels|importLabelsFromS3)", Permission.label),
    (r"POST", r"/(experiments|cv-predictions|online-jobs)", Permission.run),
    (r"POST", r"/albums/[^/]+/(augment|import\w+)", Permission.run),
    (r"POST", r"/datasets/[^/]+/(import|export)", Permission.run),
    (r"POST", r"/(processes|jobs)/[^/]+/cancel", Permission.run),
    (r"POST", r"/models/[^/]+/(train|tune)", Permission.run),
    (r"POST", r"/dataset-versions/[^/]+/tile", Permission.run),
    (r"POST", r"/api-call/.*", Permission.run),
    # Downloads that browsers post, and anything that only reads.
    (r"POST", rf"/{_ASSETS}/[^/]+/(download|data)", Permission.read),
    (r"GET|HEAD|OPTIONS", r".*", Permission.read),
    (r".*", r".*", Permission.edit),
)
_COMPILED = tuple((re.compile(method), re.compile(path), needed) for method, path, needed in _RULES)
_PREFIX = re.compile(r"^(/baile)?/(v1|v2\.0)(?=/)")


def needed(method: str, path: str) -> Permission | None:
    """What a request to a route (its path or its template, with or without the API's prefix) needs; None: no more
    than a sign-in. What no rule names is `read` for a GET, and `edit` for all else."""
    bare = _PREFIX.sub("", path)
    for known_method, known_path, permission in _COMPILED:
        if known_method.fullmatch(method) and known_path.fullmatch(bare):
            return permission
    return Permission.edit


def granted(role: Role, scopes: frozenset[Permission] | None = None) -> frozenset[Permission]:
    """What a role may do; through a token only what its scopes name."""
    return GRANTS[role] if scopes is None else GRANTS[role] & scopes & SCOPES


def check(permissions: frozenset[Permission], method: str, path: str) -> None:
    """Raises NotAllowed."""
    wanted = needed(method, path)
    if wanted is not None and wanted not in permissions:
        raise NotAllowed(fix=f"it needs the permission {wanted.value!r}")
