"""Package artifacts that hold a server: Go modules and Maven artifacts, kept in the cache folder between runs."""

import fcntl
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from studio9_cli.project import cache_folder
from studio9_cli.servers.processes import Processes

GO_LIMIT_S = 1200.0
MAVEN_LIMIT_S = 300.0


def cached(name: str) -> Path | None:
    """The artifact's folder in the cache, if it was made before."""
    folder = cache_folder() / name
    return folder if folder.is_dir() else None


def go_program(name: str, module: str, processes: Processes | None = None) -> Path:
    """A program built from a Go module at a version (`path/to/cmd@v1.2.3`). Raises `ProcessEnded`.

    `processes` keeps the build; without it the build has a keeper of its own.
    """

    def build(folder: Path) -> None:
        environment = {**os.environ, "GOBIN": str(folder), "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=mod"}
        command = ["nice", "go", "install", "-p", "2", module]
        with _keeper(processes) as keeper:
            keeper.run("go install", command, within_s=GO_LIMIT_S, environment=environment, folder=folder)

    program = Path(module.partition("@")[0]).name
    return _make(name, build, f"building {program} from its Go module (minutes, once)") / program


def go_wrapped(name: str, package: str, version: str, processes: Processes | None = None) -> Path:
    """A program whose own module cannot be installed directly, built through a module that requires it."""

    def build(folder: Path) -> None:
        environment = {**os.environ, "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=mod"}
        (folder / "go.mod").write_text("module studio9.example/wrapped\n\ngo 1.24\n", encoding="utf-8")
        (folder / "main.go").write_text(f'//go:build tools\n\npackage main\n\nimport _ "{package}"\n', encoding="utf-8")
        with _keeper(processes) as keeper:
            for step in (["get", f"{package}@{version}"], ["build", "-p", "2", "-o", "program", package]):
                keeper.run("go", ["nice", "go", *step], within_s=GO_LIMIT_S, environment=environment, folder=folder)

    return _make(name, build, f"building {package} from its Go module (minutes, once)") / "program"


def maven_file(processes: Processes, name: str, coordinates: str) -> Path:
    """One file from Maven (`group:artifact:version:packaging`). Raises `ProcessEnded`."""

    def fetch(folder: Path) -> None:
        options = [f"-Dartifact={coordinates}", f"-DoutputDirectory={folder}"]
        _maven(processes, folder, *options, "dependency:copy")

    (found,) = _make(name, fetch, f"fetching {coordinates} with Maven").iterdir()
    return found


def maven_classpath(processes: Processes, name: str, group: str, artifact: str, version: str) -> Path:
    """A folder with the jar of an artifact and all it depends on. Raises `ProcessEnded`."""

    def fetch(folder: Path) -> None:
        with tempfile.TemporaryDirectory() as scratch:
            pom = Path(scratch, "pom.xml")
            pom.write_text(
                '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
                "<groupId>studio9</groupId><artifactId>fetch</artifactId><version>1</version><dependencies><dependency>"
                f"<groupId>{group}</groupId><artifactId>{artifact}</artifactId><version>{version}</version>"
                "</dependency></dependencies></project>",
                encoding="utf-8",
            )
            options = ["-f", str(pom), f"-DoutputDirectory={folder}", "-DincludeScope=runtime"]
            _maven(processes, Path(scratch), *options, "dependency:copy-dependencies")

    return _make(name, fetch, f"fetching {group}:{artifact}:{version} with Maven")


def folder_of(name: str, fill: Callable[[Path], None], announcement: str) -> Path:
    """The cached folder `name`, filled once by whatever makes it; other runs that want it wait meanwhile."""
    return _make(name, fill, announcement)


def _maven(processes: Processes, folder: Path, *arguments: str) -> None:
    command = ["mvn", "-q", "-B", *arguments]
    processes.run("mvn", command, within_s=MAVEN_LIMIT_S, environment=os.environ, folder=folder)


def _make(name: str, fill: Callable[[Path], None], announcement: str) -> Path:
    """The cached folder `name`, filled once; other runs that want it wait meanwhile."""
    target = cache_folder() / name
    with _held(target.with_name(target.name + ".lock")):
        if target.is_dir():
            return target
        print(f"studio9: {announcement}", file=sys.stderr, flush=True)
        scratch = Path(tempfile.mkdtemp(prefix=f"{target.name}.", dir=target.parent))
        try:
            fill(scratch)
            scratch.rename(target)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    return target


@contextmanager
def _keeper(processes: Processes | None) -> Iterator[Processes]:
    if processes is not None:
        yield processes
        return
    own = Processes()
    try:
        yield own
    finally:
        own.close()


@contextmanager
def _held(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
