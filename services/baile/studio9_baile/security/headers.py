"""Headers that tell browsers to trust as little as they can."""

from collections.abc import Mapping, Sequence

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
        ui = {**BASE, "X-Frame-Options": "SAMEORIGIN", "Content-Security-Policy": ui_policy}
        self._ui, self._api, self._objects = _raw(ui), _raw(API), _raw(OBJECTS)

    def of(self, path: str) -> Sequence[tuple[bytes, bytes]]:
        """The headers of answers to a path, as answers have them."""
        if path.startswith("/objects"):
            return self._objects
        return self._api if path.startswith(API_PATHS) else self._ui

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        wanted = self.of(scope["path"])

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = list(message.get("headers", ()))
                there = {name for name, _ in headers}
                message["headers"] = headers + [one for one in wanted if one[0] not in there]
            await send(message)

        await self._app(scope, receive, sent)


def _raw(headers: Mapping[str, str]) -> Sequence[tuple[bytes, bytes]]:
    return tuple((name.lower().encode(), value.encode()) for name, value in headers.items())
