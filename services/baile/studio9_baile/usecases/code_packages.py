"""Code packages: trainers of users' own. A package never changes; its bytes are stored once, under their hash.

Nothing of a package is ever run here: it goes as it is to workers whose tasks run in sealed containers.
"""

import asyncio
from collections.abc import Sequence

from studio9_baile.core import Caller, Core
from studio9_baile.models.learned import CodePackage, ModelVersion
from studio9_baile.repositories.base import Slice
from studio9_baile.repositories.work import Work
from studio9_baile.security import archives
from studio9_baile.security.names import asset_name
from studio9_baile.usecases.access import AccessDenied
from studio9_baile.usecases.changes import Kind, changed
from studio9_baile.usecases.keeping import keep
from studio9_baile.usecases.pictures import Upload
from studio9_baile.usecases.quotas import check_room
from studio9_common.contracts.job import CODE, Input, ObjectRef
from studio9_common.errors import BadInput, Conflict

LINK_S = 3_600
"""Life of a package's URL, in seconds."""


class CodeInUse(Conflict):
    """A model was trained with this code and needs it to predict; delete the model first."""

    code = "code_in_use"


async def add_package(core: Core, caller: Caller, name: str, upload: Upload) -> CodePackage:
    """Keeps a package. Raises BadInput for the name, BadPackage, QuotaReached; then nothing is changed."""
    wanted = asset_name(name, "Code package")
    found = await asyncio.to_thread(archives.contents, upload.path)
    async with core.database.read(caller.organisation) as work:
        await check_room(core, work, size=upload.size)
    key = f"{caller.organisation}/code/{upload.sha256}.zip"
    await keep(core, key, upload.path, content_type="application/zip", sha256=upload.sha256)
    async with core.database.write(caller.organisation) as work:
        made = work.code.make(
            owner=caller.user,
            name=wanted,
            key=key,
            profile=core.objects.profile,
            sha256=upload.sha256,
            size=upload.size,
            unpacked=found.size,
            files=list(found.names),
        )
        changed(work, Kind.CODE_PACKAGE, made.id, "created", by=caller)
    return made


async def list_packages(core: Core, caller: Caller, wanted: Slice) -> Sequence[CodePackage]:
    """The caller's packages without their files' names, newest first."""
    async with core.database.read(caller.organisation) as work:
        return await work.code.heads(caller.user, wanted)


async def get_package(core: Core, caller: Caller, identifier: str) -> tuple[CodePackage, str]:
    """One of the caller's packages, and a URL of it for LINK_S seconds. Raises NotFound, AccessDenied."""
    async with core.database.read(caller.organisation) as work:
        row = await work.code.get(identifier)
        _check_owner(caller, row)
    return row, await core.objects.signed_url(row.key, expires_s=LINK_S, filename="code.zip")


async def delete_package(core: Core, caller: Caller, identifier: str) -> None:
    """Deletes a package that no model needs. Raises NotFound, AccessDenied, CodeInUse."""
    async with core.database.write(caller.organisation) as work:
        row = await work.code.get(identifier, lock=True)
        _check_owner(caller, row)
        if await work.versions.exists(work.versions.row.code == row.id):
            raise CodeInUse(field="code_id", value=row.id)
        await work.code.remove(row)
        changed(work, Kind.CODE_PACKAGE, row.id, "deleted", by=caller)


def _check_owner(caller: Caller, package: CodePackage) -> None:
    if package.owner != caller.user:
        raise AccessDenied


async def usable(work: Work, caller: Caller, identifier: str, entry: str) -> CodePackage:
    """A package of the caller's that has the module of `entry`, kept from being deleted meanwhile. Raises BadInput."""
    row = await work.code.find(identifier, lock=True)
    if row is None or row.owner != caller.user:
        raise BadInput("Code package not found", field="code", value=identifier[:100], fix="send one to POST /v1/code")
    module, separator, name = entry.partition(":")
    if not separator or not all(part.isidentifier() for part in (*module.split("."), name)):
        raise BadInput("The entry names no class", field="entry", value=entry[:200], fix="write package.module:Class")
    if not archives.holds_module(row.files, module):
        fix = "name a module of the package; GET /v1/code/{id} lists its files"
        raise BadInput(f"The code package has no module {module}", field="entry", value=entry[:200], fix=fix)
    return row


def code_input(package: CodePackage) -> Input:
    """The package as a task is given it."""
    return Input(name=CODE, kind="file", ref=ObjectRef(key=package.key, sha256=package.sha256, size=package.size))


async def code_of(work: Work, version: ModelVersion) -> tuple[Input, ...]:
    """What a task with the weights of a model version is given besides: the code that it was trained with, if any."""
    return (code_input(await work.code.head(version.code)),) if version.code is not None else ()
