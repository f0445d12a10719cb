"""An S3 server built from its Go module: MinIO, or versitygw where MinIO cannot be had."""

import secrets
import shutil
from pathlib import Path

import httpx

from studio9_cli.servers import artifacts
from studio9_cli.servers.processes import Process, ProcessEnded
from studio9_cli.servers.server import Missing, Offer, Place

MINIO = "github.com/minio/minio@v0.0.0-20260212201848-7aac2a2c5b7c"
MINIO_CACHE = "minio-20260212"
VERSITYGW = "github.com/versity/versitygw/cmd/versitygw@v1.8.0"
VERSITYGW_CACHE = "versitygw-1.8.0"


class S3:
    """Objects over the S3 protocol, with signatures, conditional writes and versioning really checked."""

    name = "s3"
    variables: tuple[str, ...] = ("STUDIO9_TEST_S3_URL",)
    needs: tuple[str, ...] = ()

    def __init__(self) -> None:
        self._product = "MinIO"

    def find(self) -> Offer | Missing:
        """A cached build, or Go to make one."""
        if artifacts.cached(MINIO_CACHE):
            return Offer("Go module minio (cached build)")
        if artifacts.cached(VERSITYGW_CACHE):
            return Offer("Go module versitygw (cached build)")
        if shutil.which("go"):
            return Offer("Go module minio, else versitygw", "builds it (3 to 5 minutes)")
        return Missing("needs Go, to build MinIO or versitygw")

    def start(self, place: Place) -> dict[str, str]:
        """Builds if needed, starts the server and waits until it answers."""
        access, secret = "studio9" + secrets.token_hex(4), secrets.token_hex(20)
        port, data = place.processes.free_port(), place.folder / "data"
        data.mkdir()
        program = self._program(place)
        if self._product == "MinIO":
            process = self._minio(place, program, data, port, access, secret)
            path = "/minio/health/ready"
        else:
            process = self._versitygw(place, program, data, port, access, secret)
            path = "/"
        process.wait_until(lambda: _answers(f"http://127.0.0.1:{port}{path}"), within_s=60)
        return {self.variables[0]: f"http://{access}:{secret}@127.0.0.1:{port}"}

    def describe(self) -> str:
        """The product that runs, or would."""
        return self._product

    def _program(self, place: Place) -> Path:
        try:
            if artifacts.cached(MINIO_CACHE) or not artifacts.cached(VERSITYGW_CACHE):
                return artifacts.go_program(MINIO_CACHE, MINIO, place.processes)
        except ProcessEnded:
            pass
        self._product = "versitygw"
        return artifacts.go_program(VERSITYGW_CACHE, VERSITYGW, place.processes)

    def _minio(self, place: Place, program: Path, data: Path, port: int, access: str, secret: str) -> Process:
        return place.processes.spawn(
            "minio",
            [program, "server", "--quiet", "--address", f"127.0.0.1:{port}", data],
            log=place.folder.with_suffix(".log"),
            environment={"MINIO_ROOT_USER": access, "MINIO_ROOT_PASSWORD": secret, "MINIO_BROWSER": "off"}
            | {"MINIO_UPDATE": "off", "MINIO_CALLHOME_ENABLE": "off"},
            folder=place.folder,
        )

    def _versitygw(self, place: Place, program: Path, data: Path, port: int, access: str, secret: str) -> Process:
        users, versions = place.folder / "iam", place.folder / "versions"
        users.mkdir()
        versions.mkdir()
        where: list[str | Path] = ["--port", f"127.0.0.1:{port}", "--iam-dir", users]
        storage: list[str | Path] = ["posix", "--versioning-dir", versions, data]
        return place.processes.spawn(
            "versitygw",
            [program, *where, *storage],
            log=place.folder.with_suffix(".log"),
            environment={"ROOT_ACCESS_KEY": access, "ROOT_SECRET_KEY": secret},
            folder=place.folder,
        )


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).status_code < 500
    except httpx.HTTPError:
        return False
