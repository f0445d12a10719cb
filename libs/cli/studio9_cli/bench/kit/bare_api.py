"""The least that an authenticated read can be: FastAPI, the same check of the token, the same queries in one session.

`python -m studio9_cli.bench.kit.bare_api PORT DATABASE_URL USER_KEYS`
"""

import sys
from datetime import UTC, datetime
from typing import Any

import uvicorn
from fastapi import FastAPI, HTTPException, Request
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from studio9_baile.database import engine_for
from studio9_baile.models.identity import SignIn, User, UserStatus
from studio9_baile.models.pictures import Album
from studio9_baile.security.tokens import UserTokens


def app(database_url: str, user_keys: str) -> FastAPI:
    """One route: an album by its id."""
    bare, engine, tokens = FastAPI(), engine_for(database_url), UserTokens(user_keys, 3600)

    @bare.get("/albums/{album_id}")
    async def album(album_id: str, request: Request) -> dict[str, Any]:
        claims = tokens.read(request.headers["authorization"].partition(" ")[2])
        async with AsyncSession(engine) as session:
            standing = select(SignIn.revoked_at, SignIn.expires_at, User.role, User.status).where(
                SignIn.organisation == claims.organisation,
                SignIn.id == claims.sign_in,
                SignIn.user == claims.user,
                User.organisation == SignIn.organisation,
                User.id == SignIn.user,
            )
            row = (await session.execute(standing)).one_or_none()
            if row is None or row.revoked_at or row.expires_at < datetime.now(UTC):
                raise HTTPException(401)
            if row.status is not UserStatus.ACTIVE:
                raise HTTPException(401)
            where = (Album.organisation == claims.organisation, Album.id == album_id)
            found = await session.scalar(select(Album).where(*where))
        if found is None or found.owner != claims.user:
            raise HTTPException(404)
        return {
            "id": found.id, "ownerId": found.owner, "name": found.name, "created": found.created_at,
            "updated": found.updated_at, "status": found.status, "type": found.type, "labelMode": found.label_mode,
            "inLibrary": found.in_library,
        }  # fmt: skip

    return bare


if __name__ == "__main__":
    # As our own services are served: without an access log.
    uvicorn.run(app(*sys.argv[2:4]), port=int(sys.argv[1]), log_config=None, access_log=False)
