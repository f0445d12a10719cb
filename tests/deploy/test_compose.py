"""The compose file: it resolves, starts every service and server, and sets nothing that its service does not know."""

import importlib
import json
import os
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

FOLDER = root() / "deploy" / "compose"
FILE = FOLDER / "compose.yaml"
SERVICES = {"baile", "orion", "aries", "argo", "taurus", "pegasus", "worker"}
SERVERS = {"rabbitmq", "elasticsearch", "postgresql", "objects", "buckets", "queues"}


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_secrets(tmp_path_factory.mktemp("secrets"))[0]


@pytest.fixture(scope="module")
def resolved(compose: list[str], environment: Path) -> dict[str, Any]:
    return config(compose, environment, FILE.name)


def config(compose: list[str], environment: Path, *files: str, **variables: str) -> dict[str, Any]:
    """What Compose makes of these files of deploy/compose."""
    named = [word for file in files for word in ("-f", str(FOLDER / file))]
    command = [*compose, *named, "--env-file", str(environment), "config", "--format", "json"]
    given = {**os.environ, **variables}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=given)
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


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*.yaml")), ids=lambda file: file.name)
def test_no_secret_is_written_in_a_file(file: Path) -> None:
    text = file.read_text()
    for line in text.splitlines():
        if ("PASSWORD" in line or "TOKEN" in line) and ":" in line and not line.strip().startswith("#"):
            assert "${" in line or "$$" in line, line
    assert "changeme" not in text and "services" in yaml.safe_load(text)


def engine_of(spec: dict[str, Any]) -> list[dict[str, Any]]:
    """The mounts of a service that reach the engine."""
    return [mount for mount in spec.get("volumes", []) if "docker.sock" in mount["source"]]


def test_the_worker_alone_has_the_engine(resolved: dict[str, Any]) -> None:
    assert [name for name, spec in resolved["services"].items() if engine_of(spec)] == ["worker"]
    assert not any(spec.get("privileged") or spec.get("pid") for spec in resolved["services"].values())


def lives_on_one_path(spec: dict[str, Any], path: str) -> None:
    (state,) = (mount for mount in spec["volumes"] if mount["target"] == path)
    assert (state["type"], state["source"]) == ("bind", path), (
        "the engine mounts its parts by the path that the agent says"
    )
    environment = spec["environment"]
    assert environment["STUDIO9_STATE_DIR"] == path
    assert environment["STUDIO9_WORKER_RUNNER"] == "container", "an engine that is away must not open the machine"
    settings_of("worker").load(environment=environment)


def test_the_workers_folder_has_one_path_inside_and_outside(compose: list[str], environment: Path) -> None:
    lives_on_one_path(config(compose, environment, "compose.yaml")["services"]["worker"], "/var/lib/studio9-worker")
    elsewhere = config(compose, environment, "compose.yaml", WORKER_STATE="/data/worker")
    lives_on_one_path(elsewhere["services"]["worker"], "/data/worker")


@pytest.mark.parametrize("base", ["compose.yaml", "worker.yaml"])
def test_the_override_gives_the_worker_its_gpus(compose: list[str], environment: Path, base: str) -> None:
    spec = config(compose, environment, base, "compose.gpu.yaml")["services"]["worker"]
    (device,) = spec["deploy"]["resources"]["reservations"]["devices"]
    assert (device["driver"], device["count"], set(device["capabilities"])) == ("nvidia", -1, {"gpu", "utility"})
    assert settings_of("worker").load(environment=spec["environment"]).model_dump()["gpu_slots"] is True
    plain = config(compose, environment, base)["services"]["worker"]
    assert "devices" not in str(plain.get("deploy", {}))


def test_a_machine_elsewhere_brings_its_token_and_nothing_else(compose: list[str], tmp_path: Path) -> None:
    (tmp_path / "none").touch()
    given = {"ORION_URL": "http://10.0.0.1:20017", "JOIN_TOKEN": "s9join.gpu-1.x"}
    found = config(compose, tmp_path / "none", "worker.yaml", **given)
    assert set(found["services"]) == {"worker"}
    spec = found["services"]["worker"]
    lives_on_one_path(spec, "/var/lib/studio9-worker")
    assert spec["user"] == "10001:10001" and spec["read_only"] is True and spec["cap_drop"] == ["ALL"]
    settings = settings_of("worker").load(environment=spec["environment"]).model_dump()
    assert settings["orion_url"] == given["ORION_URL"]
    assert settings["join_token"].get_secret_value() == given["JOIN_TOKEN"]
    assert not settings["token_keys"].get_secret_value() and not settings["bus_url"]


def test_others_join_on_the_address_that_is_named(compose: list[str], environment: Path) -> None:
    files = ("compose.yaml", "compose.join.yaml")
    found = config(compose, environment, *files, WORKERS_ADDRESS="10.0.0.1")["services"]
    open_to = {name: {port["host_ip"] for port in spec.get("ports", [])} for name, spec in found.items()}
    assert {name for name, addresses in open_to.items() if "10.0.0.1" in addresses} == {
        "orion",
        "argo",
        "rabbitmq",
        "objects",
    }
    assert set().union(*open_to.values()) == {"127.0.0.1", "10.0.0.1"}
    settings = settings_of("orion").load(environment=found["orion"]["environment"]).model_dump()
    assert settings["workers_bus_url"] == "amqp://10.0.0.1:5672"
    assert settings["broker_management_url"].get_secret_value().startswith("http://members:")
    command = [*compose, *(word for file in files for word in ("-f", str(FOLDER / file)))]
    done = subprocess.run([*command, "--env-file", str(environment), "config", "-q"], capture_output=True, text=True)
    assert done.returncode != 0 and "an address of this machine" in done.stderr
