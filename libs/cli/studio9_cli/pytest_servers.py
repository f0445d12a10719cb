"""Fixtures with the addresses of real servers, for the suites under `tests/` (imported by their conftest).

A test that asks for one is skipped, with the reason, where the server cannot be had. `./studio9 test` sets the
variables of `studio9_cli.servers`; under a bare pytest they are what the caller has set.
"""

import json
import os
from pathlib import Path

import pytest

# The trainers environment's interpreter; set for the suites that have the machine to themselves (e2e, chaos, bench).
TRAINERS_PYTHON = "STUDIO9_TEST_TRAINERS_PYTHON"
# Why a variable is not set, by variable; made by `./studio9 test`.
REASONS = "STUDIO9_TEST_REASONS"


def address(variable: str) -> str:
    """A server's address; skips the test, with the reason, where there is none."""
    value = os.environ.get(variable)
    if value:
        return value
    reasons = json.loads(os.environ.get(REASONS) or "{}")
    pytest.skip(reasons.get(variable) or f"{variable} is not set; `./studio9 test` sets it")


@pytest.fixture(scope="session")
def rabbitmq_url() -> str:
    """AMQP address of an administrator."""
    return address("STUDIO9_TEST_RABBITMQ_URL")


@pytest.fixture(scope="session")
def rabbitmq_management_url() -> str:
    """Address of RabbitMQ's management API."""
    return address("STUDIO9_TEST_RABBITMQ_MANAGEMENT_URL")


@pytest.fixture(scope="session")
def elasticsearch_url() -> str:
    """Address of a superuser."""
    return address("STUDIO9_TEST_ELASTICSEARCH_URL")


@pytest.fixture(scope="session")
def postgresql_url() -> str:
    """Address of a superuser's database; make your own database in it."""
    return address("STUDIO9_TEST_POSTGRESQL_URL")


@pytest.fixture(scope="session")
def s3_url() -> str:
    """Address of an S3 server, keys as user and password; make your own bucket in it."""
    return address("STUDIO9_TEST_S3_URL")


@pytest.fixture(scope="session")
def sqs_url() -> str:
    """Address of an SQS server, keys as user and password."""
    return address("STUDIO9_TEST_SQS_URL")


@pytest.fixture(scope="session")
def sns_url() -> str:
    """Address of SNS, with SQS and S3 of the same simulated account beside it."""
    return address("STUDIO9_TEST_SNS_URL")


@pytest.fixture(scope="session")
def redshift_url() -> str:
    """Address of a database that speaks Redshift's protocol; its COPY reads `s3_url`."""
    return address("STUDIO9_TEST_REDSHIFT_URL")


@pytest.fixture(scope="session")
def docker_url() -> str:
    """Address of a Docker Engine."""
    return address("STUDIO9_TEST_DOCKER_URL")


@pytest.fixture(scope="session")
def docker_image() -> str:
    """Id of a small Debian image in that engine."""
    return address("STUDIO9_TEST_DOCKER_IMAGE")


@pytest.fixture(scope="session")
def registry_url() -> str:
    """Address of a private registry of images, with user and password."""
    return address("STUDIO9_TEST_REGISTRY_URL")


@pytest.fixture(scope="session")
def trainers_python() -> Path:
    """The trainers environment's interpreter; `studio9-task` lies beside it."""
    return Path(address(TRAINERS_PYTHON))
