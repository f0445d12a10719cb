"""A built web UI, served at `/`: its files, and `index.html` for every path that is a page of the UI."""

import asyncio
import re
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from studio9_baile.prefix import prefix_of

INDEX = "index.html"
_OWN_PATHS = re.compile(r"""(?<=[\s"'])((?:src|href|action)\s*=\s*["']?)/(?!/)""", re.IGNORECASE)


class BuiltUi(StaticFiles):
    """Serves `folder`. A path with a dot in its last part is a file and may be missing; any other is a page."""

    def __init__(self, folder: Path) -> None:
        super().__init__(directory=folder, html=True, follow_symlink=False)
        self._index = folder / INDEX

    async def get_response(self, path: str, scope: Scope) -> Response:
        try:
            response = await super().get_response(path, scope)
        except HTTPException as error:
            if error.status_code != 404 or "." in path.rsplit("/", 1)[-1]:
                raise
            response = await super().get_response(INDEX, scope)
            path = INDEX
        if path in (".", INDEX):
            if prefix := prefix_of(scope):
                text = await asyncio.to_thread(self._index.read_text, "utf-8")
                response = HTMLResponse(under(prefix, text))
                response.headers["Vary"] = "X-Forwarded-Prefix"
            response.headers["Cache-Control"] = "no-cache"
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["X-Frame-Options"] = "SAMEORIGIN"
        return response


def under(prefix: str, page: str) -> str:
    """A page whose own absolute paths (also that of `<base>`) begin with the prefix."""
    return _OWN_PATHS.sub(rf"\g<1>{prefix}/", page)
