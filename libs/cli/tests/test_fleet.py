"""Servers of a run: where each comes from, and what is told of one that cannot be had."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from studio9_cli.servers import packages
from studio9_cli.servers.fleet import Fleet, servers
from studio9_cli.servers.processes import ProcessEnded
from studio9_cli.servers.server import Missing, Offer, Place


class Fake:
    """A server that does what the test says."""

    def __init__(
        self,
        name: str,
        start: Callable[[Place], dict[str, str]] | None = None,
        *,
        missing: str = "",
        needs: tuple[str, ...] = (),
    ) -> None:
        self.name = name
        self.variables: tuple[str, ...] = (f"STUDIO9_TEST_{name.upper()}_URL",)
        self.needs = needs
        self._missing = missing
        self._start = start or (lambda place: {self.variables[0]: f"fake://{name}"})

    def find(self) -> Offer | Missing:
        return Missing(self._missing) if self._missing else Offer("thin air")

    def start(self, place: Place) -> dict[str, str]:
        return self._start(place)

    def describe(self) -> str:
        return f"Fake {self.name}"


def fails(place: Place) -> dict[str, str]:
    raise ProcessEnded("no memory left")


def test_outcomes_tell_origin_and_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUDIO9_TEST_GIVEN_URL", "given://host")
    kinds = [Fake("given", fails), Fake("here"), Fake("absent", missing="needs Go"), Fake("broken", fails)]
    with Fleet(kinds) as fleet:
        given, here, absent, broken = fleet.outcomes()
        assert fleet.addresses() == {"STUDIO9_TEST_GIVEN_URL": "given://host", "STUDIO9_TEST_HERE_URL": "fake://here"}
        assert fleet.reasons()["STUDIO9_TEST_ABSENT_URL"] == "needs Go"
    assert given.origin == "address in the environment"
    assert (here.origin, here.product) == ("thin air", "Fake here")
    assert absent.reason == "needs Go" and "no memory left" in broken.reason


def test_a_server_waits_for_what_it_needs_and_is_told_its_address() -> None:
    seen: dict[str, str] = {}

    def start(place: Place) -> dict[str, str]:
        seen.update(place.addresses)
        return {"STUDIO9_TEST_UPPER_URL": "fake://upper"}

    with Fleet([Fake("upper", start, needs=("lower",)), Fake("lower")]) as fleet:
        fleet.outcomes()
    assert seen == {"STUDIO9_TEST_LOWER_URL": "fake://lower"}


def test_without_what_it_needs_the_reason_says_so() -> None:
    with Fleet([Fake("upper", needs=("lower",)), Fake("lower", missing="needs Go")]) as fleet:
        upper, _ = fleet.outcomes()
    assert "needs lower" in upper.reason


def test_folder_and_processes_are_gone_at_the_end() -> None:
    folders: list[Path] = []

    def start(place: Place) -> dict[str, str]:
        folders.append(place.folder)
        process = place.processes.spawn(
            "sleeper", ["sleep", "60"], log=place.folder / "log", environment={}, folder=place.folder
        )
        return {"STUDIO9_TEST_HERE_URL": f"fake://{process.popen.pid}"}

    with Fleet([Fake("here", start)]) as fleet:
        pid = int(fleet.addresses()["STUDIO9_TEST_HERE_URL"].partition("//")[2])
        os.kill(pid, 0)
    assert not folders[0].exists()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_packages_are_for_root_on_debian_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert "Debian-like" in (packages.installable() or "")
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert "root only" in (packages.installable() or "")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert packages.installable() is None


def test_every_server_says_how_it_can_be_had_or_why_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(shutil, "which", lambda name: None)
    found = {server.name: server.find() for server in servers()}
    assert isinstance(found["s3"], Missing) and "Go" in found["s3"].reason
    for name in ("elasticsearch", "sqs"):
        offer = found[name]
        assert isinstance(offer, Missing) and ("Maven" in offer.reason or "Java" in offer.reason)
    assert all(offer.reason if isinstance(offer, Missing) else offer.origin for offer in found.values())
