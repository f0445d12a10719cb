"""The job core, in one process on the embedded parts or in processes of its own on real servers."""

import sys
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from studio9_cli.platform.state import StateFolder
from studio9_cli.servers.processes import Processes

from ..e2e.deployment import Deployment, Servers
from .deployed import INSTANCES, DeployedPlatform, end_tasks, hurried
from .embedded import EmbeddedPlatform
from .relay import Relay
from .requester import Requester


@pytest.fixture
async def embedded(tmp_path: Path) -> AsyncIterator[EmbeddedPlatform]:
    async with EmbeddedPlatform.opened(tmp_path) as platform:
        yield platform


@pytest.fixture(scope="session")
def relay(rabbitmq_url: str) -> Iterator[Relay]:
    """The way to the broker of the whole deployment."""
    place = urlsplit(rabbitmq_url)
    with Relay(place.hostname or "", place.port or 5672) as relay:
        yield relay


@pytest.fixture(scope="session")
def deployment(
    tmp_path_factory: pytest.TempPathFactory,
    relay: Relay,
    rabbitmq_url: str,
    rabbitmq_management_url: str,
    elasticsearch_url: str,
    postgresql_url: str,
    s3_url: str,
    redshift_url: str,
) -> Iterator[Deployment]:
    """All services of the job core, running; one deployment for the whole run."""
    broker = urlsplit(rabbitmq_url)
    servers = Servers(
        rabbitmq=broker._replace(netloc=f"{broker.username}:{broker.password}@127.0.0.1:{relay.port}").geturl(),
        rabbitmq_management=rabbitmq_management_url,
        elasticsearch=elasticsearch_url,
        postgresql=postgresql_url,
        s3=s3_url,
        sqs="",
        sns="",
        redshift=redshift_url,
    )
    folder = tmp_path_factory.mktemp("deployment")
    processes = Processes()
    made = Deployment(
        name=f"core-{uuid.uuid4().hex[:8]}",
        servers=servers,
        processes=processes,
        folder=folder,
        secrets=StateFolder(folder / "secrets").secrets(),
        trainers_python=Path(sys.executable),
        overrides=hurried(),
    )
    try:
        made.prepare()
        made.start(*INSTANCES)
        yield made
        made.stop()
    finally:
        processes.close()
        end_tasks(folder)


@pytest.fixture
async def deployed(deployment: Deployment) -> AsyncIterator[DeployedPlatform]:
    """The deployment in the eyes of one organisation; what a test has killed runs again afterwards."""
    async with DeployedPlatform.opened(deployment) as platform:
        yield platform
        await platform.end_others()
    killed = [name for name in INSTANCES if deployment.running[name].popen.poll() is not None]
    if killed:
        deployment.start(*killed)


@pytest.fixture(params=["embedded", "deployed"])
def platform(request: pytest.FixtureRequest) -> Any:
    """The platform under test; every test with it runs on each kind."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def asks(platform: Any) -> Requester:
    """An organisation's side of the conversation."""
    requester: Requester = platform.requester
    return requester
