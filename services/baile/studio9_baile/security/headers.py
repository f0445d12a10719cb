"""Headers that tell browsers to trust as little as they can."""

from collections.abc import Mapping

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

BASE = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
API = {**BASE, "X-Frame-Options": "DENY", "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'"}
OBJECTS = {**BASE, "X-Frame-Options": "DENY", "Content-Security-Policy": "default-src 'none'; sandbox"}
"""What users have uploaded is data, whatever it claims to be: a page that is opened from it can do nothing."""
API_PATHS = ("/v1", "/v2.0", "/baile/v2.0", "/health", "/ready", "/metrics")


class SecurityHeaders:
    """Adds them to every answer; what a route sets itself stays. `ui_policy` is the Content-Security-Policy of the
    UI's pages."""

    def __init__(self, app: ASGIApp, *, ui_policy: str) -> None:
        self._app = app
        self._ui = {**BASE, "X-Frame-Options": "SAMEORIGIN", "Content-Security-Policy": ui_policy}

    def of(self, path: str) -> Mapping[str, str]:
        """The headers of answers to a path."""
        if path.startswith("/objects"):
            return OBJECTS
        return API if path.startswith(API_PATHS) else self._ui

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        wanted = self.of(scope["path"])

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in wanted.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, sent)
