"""The locks hold what the members ask for, and no address of an index."""

import re
from pathlib import Path

from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from studio9_cli.lints.findings import Finding
from studio9_cli.locks import MEMBERS, requirements

_PINNED = re.compile(r"^([A-Za-z0-9][\w.-]*)==([^\s;\\]+)")
_MEND = "run ./studio9 lock and commit the locks"


def check(root: Path) -> list[Finding]:
    """What the locks under `root/requirements` lack, for every environment."""
    found = []
    for environment in MEMBERS:
        lock = Path("requirements") / f"{environment}.lock"
        text = (root / lock).read_text(encoding="utf-8") if (root / lock).exists() else ""
        wanted = [*requirements(environment, root), *_listed(root / "requirements" / f"{environment}.in")]
        overridden = {line.name for line in map(Requirement, _listed(root / lock.with_suffix(".overrides")))}
        found += problems(lock, text, [line for line in wanted if Requirement(line).name not in overridden])
    return found


def problems(path: Path, text: str, wanted: list[str]) -> list[Finding]:
    """What is wrong with one lock's text."""
    pinned: dict[str, str] = {}
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        if "://" in line:
            found.append(Finding(path, number, f"names an address: {_MEND}"))
        if match := _PINNED.match(line):
            pinned[canonicalize_name(match.group(1))] = match.group(2)
    environment = {**{key: str(value) for key, value in default_environment().items()}, "extra": ""}
    for requirement in map(Requirement, wanted):
        version = pinned.get(canonicalize_name(requirement.name))
        if requirement.marker and not requirement.marker.evaluate(environment):
            continue
        if version is None or not requirement.specifier.contains(version, prereleases=True):
            found.append(Finding(path, 1, f"has {version or 'no version'} for {requirement}: {_MEND}"))
    return found


def _listed(path: Path) -> list[str]:
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [line for raw in lines if (line := raw.partition("#")[0].strip())]
