"""Toxiproxy, built from its Go module: connections that are slowed, hung or cut on demand.

HTTP API of version 2.5: https://github.com/Shopify/toxiproxy#http-api.
"""

import shutil
from collections.abc import Mapping

import httpx

from studio9_cli.servers import artifacts
from studio9_cli.servers.processes import ProcessEnded
from studio9_cli.servers.server import Missing, Offer, Place

VERSION = "2.5.0"
MODULE = f"github.com/Shopify/toxiproxy/v2/cmd/server@v{VERSION}"
CACHE = f"toxiproxy-{VERSION}"

TOXICS: Mapping[str, Mapping[str, object]] = {
    "slow": {"type": "latency", "attributes": {"latency": 400, "jitter": 300}},
    "narrow": {"type": "bandwidth", "attributes": {"rate": 16}},
    "hang": {"type": "timeout", "attributes": {"timeout": 0}},
    "cut": {"type": "reset_peer", "attributes": {"timeout": 0}},
}
"""Latency and jitter are milliseconds, the rate KB/s. `hang`: data stops and the connection stays until the toxic is
taken away. `cut`: every connection is reset, and each new one."""


class Toxiproxy:
    """One process that proxies any number of connections."""

    name = "toxiproxy"
    variables: tuple[str, ...] = ("STUDIO9_TEST_TOXIPROXY_URL",)
    needs: tuple[str, ...] = ()

    def find(self) -> Offer | Missing:
        """A cached build, or Go to make one."""
        if artifacts.cached(CACHE):
            return Offer("Go module toxiproxy (cached build)")
        if shutil.which("go"):
            return Offer("Go module toxiproxy", "builds it (20 s)")
        return Missing("needs Go, to build Toxiproxy")

    def start(self, place: Place) -> dict[str, str]:
        """Builds if needed, starts it and waits until its API answers."""
        program = artifacts.go_program(CACHE, MODULE, place.processes)
        port = place.processes.free_port()
        process = place.processes.spawn(
            "toxiproxy",
            [program, "-host", "127.0.0.1", "-port", str(port)],
            log=place.folder.with_suffix(".log"),
            environment={},
            folder=place.folder,
        )
        url = f"http://127.0.0.1:{port}"
        process.wait_until(lambda: _answers(f"{url}/version"), within_s=30)
        return {self.variables[0]: url}

    def describe(self) -> str:
        """Product and version."""
        return f"Toxiproxy {VERSION}"


class Proxies:
    """The proxies of one Toxiproxy; calls block for a millisecond or so. Raises ProcessEnded if it does not obey."""

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=url, timeout=10)

    def close(self) -> None:
        self._http.close()

    def make(self, name: str, port: int, upstream: int) -> None:
        """A proxy on a loopback port in front of another one."""
        place = {"name": name, "listen": f"127.0.0.1:{port}", "upstream": f"127.0.0.1:{upstream}", "enabled": True}
        self._ask("POST", "/proxies", place)

    def add(self, name: str, toxic: str) -> None:
        """Begins one of TOXICS in both directions."""
        for stream in ("upstream", "downstream"):
            self._ask("POST", f"/proxies/{name}/toxics", {"name": stream, "stream": stream, **TOXICS[toxic]})

    def clear(self, name: str) -> None:
        """Ends whatever `add` began; what it had hung is cut."""
        for stream in ("upstream", "downstream"):
            self._ask("DELETE", f"/proxies/{name}/toxics/{stream}")

    def _ask(self, method: str, path: str, body: Mapping[str, object] | None = None) -> None:
        try:
            answer = self._http.request(method, path, json=body)
        except httpx.HTTPError as error:
            raise ProcessEnded(f"toxiproxy does not answer {method} {path}: {error}") from error
        if answer.status_code >= 300 and not (method == "DELETE" and answer.status_code == 404):
            raise ProcessEnded(f"toxiproxy refused {method} {path}: {answer.text}")


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2).status_code == 200
    except httpx.HTTPError:
        return False
