"""Every service that a user's training goes through, on the bench's servers: Aries, Argo, Orion, Baile and a worker."""

import asyncio
import subprocess
import sys
from collections.abc import Mapping
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import boto3
import psycopg
from cryptography.fernet import Fernet

from studio9_cli.bench.kit.deployed import READY_S, Deployed
from studio9_cli.bench.kit.running import Bench
from studio9_cli.demo.api import Api
from studio9_cli.demo.passwords import new_password
from studio9_cli.servers.instances import is_ready
from studio9_cli.servers.processes import Process
from studio9_common.tokens import TokenKeys

REGION = "us-east-1"
NEEDS = ("rabbitmq", "elasticsearch", "postgresql", "s3", "docker")
ASK_S = 60.0


class Whole(Deployed):
    """See Deployed. Objects are in a bucket, Baile's tables in a database of their own."""

    def __init__(self, bench: Bench) -> None:
        super().__init__(bench, ("aries", "argo", "orion", "baile"))
        self._postgresql = bench.address("STUDIO9_TEST_POSTGRESQL_URL")
        self._s3 = bench.address("STUDIO9_TEST_S3_URL")
        self._user_keys, self._fernet_key = TokenKeys.generate(), Fernet.generate_key().decode()

    async def __aenter__(self) -> "Whole":
        await self._administer(f'CREATE DATABASE "{self.name}"')
        await asyncio.to_thread(self.bucket().create)
        await super().__aenter__()
        return self

    async def close(self) -> None:
        await super().close()
        await self._administer(f'DROP DATABASE IF EXISTS "{self.name}" WITH (FORCE)')
        await asyncio.to_thread(lambda: self.bucket().objects.all().delete())
        await asyncio.to_thread(self.bucket().delete)

    async def start_worker(self, environment: Mapping[str, str]) -> Process:
        """A worker with these settings more, ready when this returns. Raises ProcessEnded."""
        process = self.start("worker", [sys.executable, "-m", "studio9_worker"], environment)
        await asyncio.to_thread(process.wait_until, partial(is_ready, self.address("worker")), READY_S)
        return process

    async def signed_in(self) -> Api:
        """Baile's API for the first user of a new organisation; close it."""
        asked = await asyncio.to_thread(self._bootstrap_token)
        api = Api(self.address("baile"), patience_s=ASK_S)
        login = {"username": "bench", "password": new_password()}
        body = {"token": asked, "organisation": "Bench", "email": "bench@studio9.example"}
        await api.post("/v1/bootstrap", body | login | {"firstName": "Be", "lastName": "Nch"})
        await api.sign_in(login["username"], login["password"])
        return api

    def bucket(self) -> Any:
        """The bucket of this deployment, as boto3 has it."""
        parts = urlsplit(self._s3)
        service = boto3.resource(
            "s3",
            endpoint_url=f"{parts.scheme}://{parts.hostname}:{parts.port}",
            aws_access_key_id=parts.username,
            aws_secret_access_key=parts.password,
            region_name=REGION,
        )
        return service.Bucket(self.name)

    def _bootstrap_token(self) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "studio9_baile", "bootstrap-token"],
            env=self.environment("baile") | {"PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            timeout=ASK_S,
            check=True,
        )
        return done.stdout.strip().splitlines()[-1]

    def environment(self, name: str) -> dict[str, str]:
        """All that a service's process is told."""
        return super().environment(name) | self._own(name)

    def _own(self, name: str) -> dict[str, str]:
        parts = urlsplit(self._s3)
        values = {
            "STUDIO9_OBJECTS_URL": f"s3://{self.name}",
            "STUDIO9_OBJECTS_ENDPOINT": f"{parts.scheme}://{parts.hostname}:{parts.port}",
            "STUDIO9_OBJECTS_REGION": REGION,
            "STUDIO9_OBJECTS_ACCESS_KEY": parts.username or "",
            "STUDIO9_OBJECTS_SECRET_KEY": parts.password or "",
        }
        if "argo" in self._ports:
            values["STUDIO9_ARGO_URL"] = self.address("argo")
        own = {
            "argo": {
                "STUDIO9_ARGO_DOCUMENTS_URL": self.store_url,
                "STUDIO9_ARGO_FERNET_KEYS": self._fernet_key,
            },
            "baile": {
                "STUDIO9_BAILE_DATABASE_URL": urlsplit(self._postgresql)._replace(path=f"/{self.name}").geturl(),
                "STUDIO9_BAILE_USER_KEYS": self._user_keys,
            },
        }
        return values | own.get(name, {})

    async def _administer(self, statement: str) -> None:
        async with await psycopg.AsyncConnection.connect(self._postgresql, autocommit=True) as connection:
            await connection.execute(statement.encode())
