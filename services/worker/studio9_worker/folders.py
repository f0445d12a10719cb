"""The folders of the attempts on this machine: `<root>/<job>.<fence>`, each a task's folder."""

import os
import shutil
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from studio9_task.layout import PICTURES, TaskFolder
from studio9_worker.lease import AttemptKey


class JobFolders:
    """Names, lists and removes them; all of it blocks."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def of(self, key: AttemptKey) -> TaskFolder:
        """The folder of an attempt, which need not be there."""
        return TaskFolder(self.root / f"{key.job}.{key.fence}")

    def list(self) -> list[AttemptKey]:
        """The attempts that have a folder; whatever else lies here is not ours."""
        found = []
        with suppress(FileNotFoundError):
            for entry in os.scandir(self.root):
                job, _, fence = entry.name.rpartition(".")
                if job and fence.isascii() and fence.isdigit() and entry.is_dir(follow_symlinks=False):
                    found.append(AttemptKey(job, int(fence)))
        return sorted(found)

    def remove(self, key: AttemptKey) -> None:
        """Removes a folder whatever its task did to the permissions in it. Raises OSError if something stays."""
        if not self.remove_bare(key):
            shutil.rmtree(self.of(key).root, onerror=_open_up)

    def remove_bare(self, key: AttemptKey) -> bool:
        """Removes a folder in which its task has left nothing but its events, in a moment; whether it is gone."""
        folder = self.of(key)
        try:
            _remove_bare(folder)
        except OSError:
            return not folder.root.exists()
        return True


def _remove_bare(folder: TaskFolder) -> None:
    """Removes the folder of a task that has left nothing but its events, in a fraction of the calls that looking
    through it takes. Follows no link; whatever else lies in it stays. Raises OSError at the first that does."""
    there = set(os.listdir(folder.root))
    for file in (folder.request, folder.events):
        if file.name in there:
            file.unlink()
    if folder.inputs.name in there:
        inputs = os.open(folder.inputs, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            os.rmdir(PICTURES, dir_fd=inputs)
        finally:
            os.close(inputs)
    for empty in (folder.inputs, folder.outputs, folder.scratch, folder.shim):
        if empty.name in there:
            empty.rmdir()
    folder.root.rmdir()


def _open_up(function: Callable[..., Any], path: str, error: Any) -> None:
    """Gives the folder back the permissions that removing needs, and tries once more."""
    if isinstance(error[1], FileNotFoundError):
        return
    for one in (Path(path).parent, Path(path)):
        with suppress(OSError):
            if stat.S_ISDIR(one.lstat().st_mode):
                one.chmod(0o700)
    if function in (os.scandir, os.open, os.listdir):
        shutil.rmtree(path)
    else:
        function(path)
