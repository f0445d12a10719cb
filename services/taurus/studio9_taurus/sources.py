"""Where arriving pictures are read from: watched buckets on S3, or folders that stand for them."""

import asyncio
import time
from pathlib import Path
from typing import Any, Protocol

from pydantic import SecretStr

from studio9_common.clients.argo import ArgoClient
from studio9_common.contracts.configuration import StreamConfig
from studio9_common.errors import Forbidden, NotFound, Unavailable
from studio9_common.objects.connect import ObjectsSettings, open_objects
from studio9_common.objects.port import ObjectMissing, Objects
from studio9_taurus.settings import TaurusSettings

KEPT_S = 300.0
"""How long an opened bucket is used before its credentials are asked for again."""


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
    """Buckets of an S3 server; a stream's own credentials are a secret in Argo, which only Taurus may read.

    An opened bucket is kept for a few minutes, then its credentials are asked for again.
    """

    def __init__(self, settings: TaurusSettings, argo: ArgoClient) -> None:
        self._settings, self._argo = settings, argo
        self._opened: dict[tuple[str, str, str | None], tuple[float, Objects]] = {}

    async def read(self, organisation: str, config: StreamConfig, key: str, *, limit: int) -> bytes:
        objects = await self._bucket(organisation, config)
        if (await objects.head(key)).size > limit:
            raise TooBig
        return await objects.get(key)

    async def _bucket(self, organisation: str, config: StreamConfig) -> Objects:
        place = (organisation, config.bucket, config.secret)
        opened = self._opened.get(place)
        if opened is None or time.monotonic() - opened[0] > KEPT_S:
            opened = time.monotonic(), open_objects(await self._profile(organisation, config))
            self._opened[place] = opened
        return opened[1]

    async def _profile(self, organisation: str, config: StreamConfig) -> ObjectsSettings:
        settings = self._settings
        access, secret, region = settings.source_access_key, settings.source_secret_key, settings.source_region
        token: SecretStr | None = None
        if config.secret:
            revealed = await self._reveal(organisation, config.secret)
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

    async def _reveal(self, organisation: str, reference: str) -> dict[str, Any]:
        """The credentials. Where there are none (any more), the stream's pictures wait until somebody mends that."""
        try:
            revealed: Any = await self._argo.reveal(reference, organisation=organisation)
        except (NotFound, Forbidden) as error:
            raise Unavailable(f"the stream's credentials cannot be read: {error.message}") from error
        if not isinstance(revealed, dict):
            raise Unavailable("the stream's credentials are not a mapping with access_key and secret_key")
        return revealed
