"""Writes the locks in `requirements/` from the members' own dependencies (`./studio9 lock [--upgrade]`).

Runs in the bootstrap environment, so it uses the standard library only. The locks hold versions, hashes and markers
for every system, and no address of any index; members of the workspace are left out, the launcher installs them.
Without `--upgrade`, versions that still fit stay as they are.
"""

import os
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
MEMBERS: dict[str, tuple[str, ...]] = {
    "bootstrap": (),
    "platform": ("libs/common", "libs/task", "libs/cli", "services/*"),
    "trainers": ("libs/task", "libs/trainers"),
    "bench": (),
}
HEADER = "# Written by `./studio9 lock` for Python >= 3.11 on every system; do not edit.\n"


def member_files(environment: str, root: Path = ROOT) -> list[Path]:
    """The `pyproject.toml` of every member that the environment installs."""
    found = [path for pattern in MEMBERS[environment] for path in root.glob(f"{pattern}/pyproject.toml")]
    return sorted(found)


def requirements(environment: str, root: Path = ROOT) -> list[str]:
    """What the members of an environment depend on, other members left out."""
    wanted: set[str] = set()
    for path in member_files(environment, root):
        project = tomllib.loads(path.read_text(encoding="utf-8"))["project"]
        wanted.update(line for line in project.get("dependencies", ()) if not line.startswith("studio9-"))
    return sorted(wanted)


def write(environment: str, options: Sequence[str]) -> None:
    """Resolves one environment into `requirements/<environment>.lock`."""
    folder = ROOT / "requirements"
    overrides = folder / f"{environment}.overrides"
    command = [str(Path(sys.executable).with_name("uv")), "pip", "compile", "-q", "--universal", "--generate-hashes"]
    command += ["--python-version", "3.11", "--no-header", "--no-annotate", "--no-emit-index-url", *options]
    command += ["--no-sources", "--output-file", str(folder / f"{environment}.lock")]
    if overrides.exists():
        command += ["--override", str(overrides)]
    with tempfile.TemporaryDirectory() as scratch:
        members = Path(scratch, "members.in")
        members.write_text("\n".join(requirements(environment)) + "\n", encoding="utf-8")
        subprocess.run([*command, str(folder / f"{environment}.in"), str(members)], check=True, cwd=scratch)
    lock = folder / f"{environment}.lock"
    lock.write_text(HEADER + lock.read_text(encoding="utf-8"), encoding="utf-8")


def main(arguments: Sequence[str]) -> int:
    """Writes every lock; `--upgrade` takes the newest versions that fit."""
    if {"-h", "--help"} & set(arguments):
        print("usage: studio9 lock [--upgrade]\nWrite requirements/*.lock; with --upgrade the newest that fit.")
        return 0
    if set(arguments) - {"--upgrade"}:
        print("studio9 lock takes --upgrade, or nothing", file=sys.stderr)
        return 2
    os.environ.setdefault("UV_PYTHON_DOWNLOADS", "never")
    for environment in MEMBERS:
        print(f"studio9: resolving {environment}", file=sys.stderr)
        try:
            write(environment, arguments)
        except subprocess.CalledProcessError:
            print(f"studio9: {environment} has no solution (see above); its lock is unchanged", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
