"""A deployment on real servers: each service as its own process, with its own broker user, as in production."""

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from urllib.parse import quote, urlsplit

import boto3
import httpx
import psycopg
from botocore.config import Config

from studio9_cli.deployment import broker_definitions
from studio9_cli.platform.state import Secrets
from studio9_cli.project import commit
from studio9_cli.servers.instances import is_ready, service_of
from studio9_cli.servers.processes import Process, Processes

SERVICES = ("aries", "argo", "orion", "baile", "pegasus", "taurus", "worker")
SPEAKING = tuple(service for service in SERVICES if service != "aries")
"""Those with a user on the broker."""
REGION = "us-east-1"


def endpoint_of(address: str) -> str:
    """A server's address without user and password."""
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.hostname}:{parts.port}"


@dataclass(frozen=True, slots=True)
class Servers:
    """Addresses of the real servers, administrators' credentials inside."""

    rabbitmq: str
    rabbitmq_management: str
    elasticsearch: str
    postgresql: str
    s3: str
    sqs: str
    sns: str
    redshift: str


@dataclass(slots=True)
class Deployment:
    """`name` is unique among runs on the same servers: it names the vhost, databases, bucket, queues and indexes.

    An instance is called as its service, or `service-n` where there are several. `overrides` are settings more, by
    service or instance.
    """

    name: str
    servers: Servers
    processes: Processes
    folder: Path
    secrets: Secrets
    trainers_python: Path
    overrides: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)
    running: dict[str, Process] = field(default_factory=dict)
    _broker: dict[str, str] = field(default_factory=dict)

    def prepare(self) -> None:
        """Makes the broker's vhost and users, the databases, the bucket, the queue and the topic."""
        self._broker = {user: os.urandom(16).hex() for user in SPEAKING}
        parts = urlsplit(self.servers.rabbitmq_management)
        auth = (parts.username or "", parts.password or "")
        base = f"{parts.scheme}://{parts.hostname}:{parts.port}/api"
        definitions = broker_definitions(self._broker, vhost=self.name, prefix=f"{self.name}-")
        with httpx.Client(auth=auth, timeout=30) as http:
            http.post(f"{base}/definitions", json=definitions).raise_for_status()
            # An administrator too, so that the test can look at queues and delete them.
            user = quote(urlsplit(self.servers.rabbitmq).username or "", safe="")
            everything = {"configure": ".*", "write": ".*", "read": ".*"}
            http.put(f"{base}/permissions/{self.name}/{user}", json=everything).raise_for_status()
        for database, address in (("baile", self.servers.postgresql), ("warehouse", self.servers.postgresql)):
            with psycopg.connect(address, autocommit=True) as connection:
                connection.execute(f'CREATE DATABASE "{self.name}-{database}"'.encode())
        self.s3().create_bucket(Bucket=self.name)
        self.s3().create_bucket(Bucket=self.incoming)

    @property
    def incoming(self) -> str:
        """The watched bucket of online prediction."""
        return f"{self.name}-incoming"

    def s3(self) -> "boto3.client":
        parts = urlsplit(self.servers.s3)
        return boto3.client(
            "s3",
            endpoint_url=f"{parts.scheme}://{parts.hostname}:{parts.port}",
            aws_access_key_id=parts.username,
            aws_secret_access_key=parts.password,
            region_name=REGION,
            config=Config(s3={"addressing_style": "path"}),
        )

    def start(self, *instances: str) -> None:
        """Starts instances (one of each service by default) and waits until each answers that it is ready."""
        wanted = instances or SERVICES
        for name in (*wanted, "aries", "argo"):
            self.ports.setdefault(name, self.processes.free_port())
        for name in wanted:
            folder = self.folder / name
            folder.mkdir(exist_ok=True)
            self.running[name] = self.processes.spawn(
                name,
                [sys.executable, "-m", f"studio9_{service_of(name)}"],
                log=self.folder / f"{name}.log",
                environment=self.environment(name),
                folder=folder,
            )
        for name in wanted:
            self.running[name].wait_until(partial(is_ready, self.address(name)), 60)

    def environment(self, name: str) -> dict[str, str]:
        """The settings that an instance's process gets; its port must have been given out."""
        service = service_of(name)
        values = {
            "STUDIO9_INSTALLATION": self.name,
            "STUDIO9_STATE_DIR": str(self.folder / name),
            "STUDIO9_COMMIT": commit(),
            "STUDIO9_PORT": str(self.ports[name]),
            "STUDIO9_TOKEN_KEYS": self.secrets.token_keys,
            "STUDIO9_ARIES_URL": f"http://127.0.0.1:{self.ports.get('aries', 0)}",
            "STUDIO9_ARGO_URL": f"http://127.0.0.1:{self.ports.get('argo', 0)}",
        }
        if service in self._broker:
            place = urlsplit(self.servers.rabbitmq)
            login = f"{self.name}-{service}:{self._broker[service]}"
            values["STUDIO9_BUS_URL"] = f"amqp://{login}@{place.hostname}:{place.port}/{self.name}"
        if service not in ("aries", "argo"):
            objects = urlsplit(self.servers.s3)
            values |= {
                "STUDIO9_OBJECTS_URL": f"s3://{self.name}",
                "STUDIO9_OBJECTS_ENDPOINT": f"{objects.scheme}://{objects.hostname}:{objects.port}",
                "STUDIO9_OBJECTS_REGION": REGION,
                "STUDIO9_OBJECTS_ACCESS_KEY": objects.username or "",
                "STUDIO9_OBJECTS_SECRET_KEY": objects.password or "",
            }
        own = values | self._own(service)
        return own | dict(self.overrides.get(service, {})) | dict(self.overrides.get(name, {}))

    def address(self, name: str) -> str:
        return f"http://127.0.0.1:{self.ports[name]}"

    def kill(self, name: str) -> None:
        """SIGKILL for the instance's process alone; what it started lives on."""
        self.running[name].popen.kill()
        self.running[name].popen.wait(10)

    def stop(self) -> None:
        """Ends every instance and what it started."""
        self.processes.stop(*self.running.values())

    def logs(self) -> str:
        """The end of every service's log, for a failed test's report."""
        return "\n".join(f"--- {name}\n{process.tail()}" for name, process in self.running.items())

    @property
    def vhost(self) -> str:
        """The administrator's address of this deployment's part of the broker."""
        return urlsplit(self.servers.rabbitmq)._replace(path=f"/{self.name}").geturl()

    def _own(self, service: str) -> dict[str, str]:
        """What only this service is told."""
        database, warehouse = urlsplit(self.servers.postgresql), urlsplit(self.servers.redshift)
        return {
            "aries": {"STUDIO9_ARIES_DOCUMENTS_URL": self.servers.elasticsearch},
            "orion": {
                "STUDIO9_ORION_BROKER_MANAGEMENT_URL": self.servers.rabbitmq_management,
                "STUDIO9_ORION_WORKERS_OBJECTS_ROLE": "arn:minio:iam:::role/worker",
            },
            "argo": {
                "STUDIO9_ARGO_DOCUMENTS_URL": self.servers.elasticsearch,
                "STUDIO9_ARGO_FERNET_KEYS": self.secrets.fernet_keys,
            },
            "baile": {
                "STUDIO9_BAILE_DATABASE_URL": database._replace(path=f"/{self.name}-baile").geturl(),
                "STUDIO9_BAILE_USER_KEYS": self.secrets.user_keys,
                "STUDIO9_BAILE_BUCKETS": json.dumps([{"id": "incoming", "name": self.incoming, "region": REGION}]),
            },
            "pegasus": {
                "STUDIO9_PEGASUS_WAREHOUSE_URL": warehouse._replace(path=f"/{self.name}-warehouse").geturl(),
                "STUDIO9_PEGASUS_WAREHOUSE_SSL": "false",
                "STUDIO9_PEGASUS_WAREHOUSE_ACCESS_KEY": urlsplit(self.servers.s3).username or "",
                "STUDIO9_PEGASUS_WAREHOUSE_SECRET_KEY": urlsplit(self.servers.s3).password or "",
            },
            "worker": {
                "STUDIO9_WORKER_TRAINERS_PYTHON": str(self.trainers_python),
                "STUDIO9_WORKER_BUCKETS_ENDPOINT": endpoint_of(self.servers.s3),
            },
        }.get(service, {})
