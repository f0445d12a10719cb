"""Where arriving pictures are read from: watched buckets on S3, or folders that stand for them."""

import asyncio
from pathlib import Path
from typing import Any, Protocol

from pydantic import SecretStr

from studio9_common.clients.argo import ArgoClient
from studio9_common.contracts.configuration import StreamConfig
from studio9_common.errors import NotFound
from studio9_common.objects.connect import ObjectsSettings, open_objects
from studio9_common.objects.port import ObjectMissing
from studio9_taurus.settings import TaurusSettings


class TooBig(Exception):
    """The picture has more bytes than are taken."""


class Source(Protocol):
    """Reads watched buckets."""

    async def read(self, organisation: str, config: StreamConfig, key: str, *, limit: int) -> bytes:
        """The whole object. Raises ObjectMissing, TooBig over `limit` bytes, Unavailable."""
        ...


class FolderSource:
    """Each folder below `root` is a bucket. Links out of it are not followed."""

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()

    async def read(self, organisation: str, config: StreamConfig, key: str, *, limit: int) -> bytes:
        return await asyncio.to_thread(self._read, config.bucket, key, limit)

    def _read(self, bucket: str, key: str, limit: int) -> bytes:
        base = (self._root / bucket).resolve()
        path = (base / key).resolve()
        if not path.is_relative_to(base) or not path.is_file():
            raise ObjectMissing(field="key", value=key)
        if path.stat().st_size > limit:
            raise TooBig
        return path.read_bytes()


class S3Source:
    """Buckets of an S3 server; a stream's own credentials are a secret in Argo, which only Taurus may read."""

    def __init__(self, settings: TaurusSettings, argo: ArgoClient) -> None:
        self._settings, self._argo = settings, argo

    async def read(self, organisation: str, config: StreamConfig, key: str, *, limit: int) -> bytes:
        objects = open_objects(await self._profile(organisation, config))
        try:
            if (await objects.head(key)).size > limit:
                raise TooBig
            return await objects.get(key)
        finally:
            await objects.close()

    async def _profile(self, organisation: str, config: StreamConfig) -> ObjectsSettings:
        settings = self._settings
        access, secret, region = settings.source_access_key, settings.source_secret_key, settings.source_region
        token: SecretStr | None = None
        if config.secret:
            revealed: Any = await self._argo.reveal(config.secret, organisation=organisation)
            if not isinstance(revealed, dict):
                raise NotFound("the stream's credentials are not usable", field="secret", value=config.secret)
            access, secret = revealed.get("access_key"), SecretStr(str(revealed.get("secret_key", "")))
            token = SecretStr(revealed["session_token"]) if revealed.get("session_token") else None
            region = str(revealed.get("region") or region)
        return ObjectsSettings(
            url=f"s3://{config.bucket}",
            endpoint=settings.source_endpoint,
            region=region,
            access_key=access,
            secret_key=secret,
            session_token=token,
        )
