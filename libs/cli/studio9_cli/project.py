"""Where things are: the repository, its environments, the cache and scratch folders."""

import os
import subprocess
from functools import cache
from pathlib import Path


def root() -> Path:
    """The repository: the nearest folder above this file that holds the launcher."""
    for folder in Path(__file__).resolve().parents:
        if (folder / "studio9").is_file() and (folder / "requirements").is_dir():
            return folder
    raise RuntimeError("this command needs the repository; run the `studio9` that lies at its top")


def environment_python(name: str) -> Path:
    """The interpreter of an environment (`platform` or `trainers`), whether or not it exists yet."""
    return root() / ".studio9" / "venv" / name / "bin" / "python"


def ensure_trainers() -> Path:
    """The trainers environment's interpreter; the launcher makes the environment where it is missing or old."""
    subprocess.run([str(root() / "studio9"), "setup", "--trainers"], check=True, stdin=subprocess.DEVNULL)
    return environment_python("trainers")


def cache_folder() -> Path:
    """Downloads and builds that outlive a run (`XDG_CACHE_HOME/studio9`, else `~/.cache/studio9`); it is made."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    folder = Path(base) / "studio9"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@cache
def commit() -> str:
    """The checked-out commit, with `+` when tracked files differ from it; `unknown` outside git."""
    try:
        head = _git("rev-parse", "HEAD").strip()
        return head + ("+" if _git("status", "--porcelain", "--untracked-files=no").strip() else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def python_files() -> list[Path]:
    """Every Python file of the repository that git tracks or would track, relative to its top, sorted."""
    listed = _git("ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", "*.py")
    return sorted(Path(name) for name in listed.split("\0") if name and (root() / name).is_file())


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=root(), check=True, capture_output=True, text=True)
    return done.stdout
