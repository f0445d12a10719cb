"""The `/v2.0` app: all its routes, its errors, its limits."""

from typing import Any

from fastapi import APIRouter, FastAPI
from starlette.routing import BaseRoute
from starlette.types import Receive, Scope, Send

from studio9_baile.core import Caller, Core
from studio9_baile.usecases import signing_in
from studio9_baile.v2 import (
    accounts,
    albums,
    config,
    datasets,
    empty,
    errors,
    experiments,
    imports,
    model_files,
    models,
    online,
    online_apis,
    pictures,
    predictions,
    processes,
    projects,
    session,
    shares,
    tables,
    users,
)
from studio9_baile.v2.middleware import LimitBody, RefuseNul, too_large
from studio9_common.http.app import NO_TELEMETRY

TOPICS = (
    session, accounts, users, config, albums, pictures, imports, model_files, models, experiments, predictions, online,
    online_apis, processes, projects, shares, datasets, tables, empty,
)  # fmt: skip
METHODS = ("GET", "POST", "PUT", "PATCH", "HEAD", "DELETE", "OPTIONS")
EXPOSED = ("Content-Disposition", "ETag", "Studio9-Label-Report")


class ByFirstPart:
    """Looks a request up among the routes that begin as its path does: there are many, and each try takes its time."""

    def __init__(self, router: APIRouter) -> None:
        self._all = router
        groups: dict[str, list[BaseRoute]] = {}
        for route in router.routes:
            groups.setdefault(_first_part(getattr(route, "path", "")), []).append(route)
        if any("{" in name for name in groups):
            raise ValueError("a route begins with a parameter: it would have to be in every group")
        self._groups = {
            name: APIRouter(routes=routes, redirect_slashes=router.redirect_slashes) for name, routes in groups.items()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        router = self._all
        if scope["type"] == "http":
            path: str = scope["path"]
            router = self._groups.get(_first_part(path.removeprefix(scope.get("root_path", ""))), router)
        await router.app(scope, receive, send)


def _first_part(path: str) -> str:
    return path[1:].partition("/")[0]


def v2_app(core: Core, **state: Any) -> FastAPI:
    """To be mounted at `/v2.0`. `state` is what single topics need besides the core."""
    app = FastAPI(
        title="Studio9 for Salsa",
        version="2.0",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        telemetry=NO_TELEMETRY,
    )
    app.state.core = core
    app.state.started = core.clock.monotonic()
    for name, value in state.items():
        setattr(app.state, name, value)

    async def caller_of(token: str) -> Caller:
        return await signing_in.caller_of(core, token)

    app.state.caller_of = caller_of
    errors.install(app)
    for topic in TOPICS:
        # The routes as they are: including a router builds all of them anew for every app.
        app.router.routes.extend(topic.routes.routes)
    app.router.middleware_stack = ByFirstPart(app.router)
    settings = core.settings
    app.add_middleware(RefuseNul)
    app.add_middleware(
        LimitBody,
        refuse=too_large,
        usual=settings.max_body,
        uploads={
            r"/uploadPicture$": settings.max_picture,
            r"/(uploadLabels|importPicturesFromS3)$": settings.max_labels_csv,
            r"/datasets/[^/]+/files$": settings.max_files,
            r"/cv-models/import$": settings.max_model,
            r"/api-call/[^/]+/predict$": settings.max_call * 4 // 3,
        },
    )
    return app
