"""The compose file: it resolves, starts every service and server, and sets nothing that its service does not know."""

import importlib
import json
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from pydantic import SecretStr

from studio9_cli.deployment import write_secrets
from studio9_cli.project import root
from studio9_common.settings import ServiceSettings

FILE = root() / "deploy" / "compose" / "compose.yaml"
SERVICES = {"baile", "orion", "aries", "argo", "taurus", "pegasus", "worker"}
SERVERS = {"rabbitmq", "elasticsearch", "postgresql", "objects", "buckets", "queues"}


@pytest.fixture(scope="module")
def resolved(compose: list[str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    environment, _ = write_secrets(tmp_path_factory.mktemp("secrets"))
    command = [*compose, "-f", str(FILE), "--env-file", str(environment), "config", "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def settings_of(service: str) -> type[ServiceSettings]:
    module = importlib.import_module(f"studio9_{service}.settings")
    found: type[ServiceSettings] = getattr(module, f"{service.capitalize()}Settings")
    return found


def test_every_service_and_server_is_there(resolved: dict[str, Any]) -> None:
    assert set(resolved["services"]) == SERVICES | SERVERS


def test_nothing_starts_without_secrets(compose: list[str], tmp_path: Path) -> None:
    (tmp_path / "none").touch()
    command = [*compose, "-f", str(FILE), "--env-file", str(tmp_path / "none"), "config", "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode != 0
    assert "studio9 admin secrets" in done.stderr


@pytest.mark.parametrize("service", sorted(SERVICES))
def test_every_setting_is_one_that_the_service_knows(resolved: dict[str, Any], service: str) -> None:
    kind = settings_of(service)
    environment = resolved["services"][service]["environment"]
    prefix = f"STUDIO9_{service.upper()}_"
    for name in environment:
        short = {name.removeprefix(prefix).lower(), name.removeprefix("STUDIO9_").lower()}
        assert short & set(kind.model_fields), f"{service} does not know {name}"
    kind.load(environment=environment)


@pytest.mark.parametrize("service", sorted(SERVICES))
def test_no_service_falls_back_to_an_embedded_part(resolved: dict[str, Any], service: str) -> None:
    environment = resolved["services"][service]["environment"]
    settings = settings_of(service).load(environment=environment)
    main = (root() / "services" / service / f"studio9_{service}" / "__main__.py").read_text()
    for name in ("bus_url", "aries_url", "argo_url"):
        assert bool(getattr(settings, name)) == (f"settings.{name}" in main), name
    for name in ("database_url", "documents_url", "objects_url", "streams_url", "warehouse_url"):
        if name in type(settings).model_fields:
            value = getattr(settings, name)
            text = value.get_secret_value() if isinstance(value, SecretStr) else value
            assert urlsplit(text).scheme in {"postgresql", "http", "s3", "aws"}, name


@pytest.mark.parametrize("service", sorted(SERVICES))
def test_services_are_locked_down_and_watched(resolved: dict[str, Any], service: str) -> None:
    spec = resolved["services"][service]
    assert spec["user"] == "10001:10001"
    assert spec["read_only"] is True
    assert spec["cap_drop"] == ["ALL"]
    assert spec["security_opt"] == ["no-new-privileges:true"]
    assert "/ready" in " ".join(spec["healthcheck"]["test"])
    assert all(port["host_ip"] == "127.0.0.1" for port in spec.get("ports", []))
    assert spec["build"]["args"]["SERVICE"] == service


def test_each_service_has_a_broker_user_of_its_own(resolved: dict[str, Any]) -> None:
    users = {}
    for service in SERVICES - {"aries"}:
        url = resolved["services"][service]["environment"]["STUDIO9_BUS_URL"]
        users[service] = url.removeprefix("amqp://").partition(":")[0]
    assert all(user == service for service, user in users.items())


def test_no_secret_is_written_in_the_file() -> None:
    text = FILE.read_text()
    for line in text.splitlines():
        if "PASSWORD" in line and ":" in line and not line.strip().startswith("#"):
            assert "${" in line or "$$" in line, line
    assert "changeme" not in text and yaml.safe_load(text)["name"] == "studio9"
