"""Who is at the other end of a connection: with a proxy before it the proxy, whatever address it forwards."""

from starlette.types import ASGIApp, Receive, Scope, Send

PEER = "studio9.peer"


class KeepsPeer:
    """Goes around what puts the forwarded address in the place of the peer's (`client`), and keeps the latter."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app({**scope, PEER: scope.get("client")}, receive, send)


def peer_of(scope: Scope) -> str | None:
    """The address that a request's connection comes from; None for a socket without one. Where nothing was put in its
    place it is the client's."""
    peer: tuple[str, int] | None = scope.get(PEER, scope.get("client"))
    return peer[0] if peer else None
