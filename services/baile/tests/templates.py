"""What databases and object stores of tests hold from the beginning: made once in a run, copied for each test.

It is made stage upon stage, by the requests that users would send to an installation of its own."""

import asyncio
import secrets
import shutil
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from studio9_baile.database import Database

from .databases import Reused, address, on_server


@dataclass(frozen=True)
class Stage:
    """What there is before it, and what makes the rest in a running installation: its answer says what was made, and
    it is given that of the one before."""

    before: str
    make: Callable[[Any, Any], Coroutine[Any, Any, Any]]


STAGES: dict[str, Stage] = {}
"""Those after `empty`; each comes after the one that is before it."""


@dataclass(frozen=True)
class Template:
    """A stage of one kind of database. `folder` is its installation's, if there was one."""

    database: str
    folder: Path
    made: Any = None


class Templates:
    """All stages of a kind of database, `sqlite` or `postgresql`, each made when it is first wanted. `install` gives an
    installation for a folder and the address of a database."""

    def __init__(self, kind: str, folder: Path, install: Callable[[Path, str], Any]) -> None:
        self._kind, self._folder, self._install = kind, folder, install
        self._name = f"baile_template_{secrets.token_hex(4)}"
        self._stages: dict[str, Template] = {}
        self._reused: dict[str, Reused] = {}

    def stage(self, name: str) -> Template:
        """A stage, with all before it."""
        if name not in self._stages:
            before = self.stage(STAGES[name].before) if name in STAGES else None
            # In a loop of its own; this thread may have one already.
            with ThreadPoolExecutor(1) as pool:
                self._stages[name] = pool.submit(lambda: asyncio.run(self._make(name, before))).result()
        return self._stages[name]

    async def _make(self, name: str, before: Template | None) -> Template:
        folder, of_server = self._folder / name, f"{self._name}_{name}"
        folder.mkdir(parents=True)
        if self._kind == "sqlite":
            database = str(folder / "baile.sqlite")
            url = f"sqlite:///{database}"
            if before is not None:
                shutil.copy(before.database, database)
        else:
            database, url = of_server, address(of_server)
            await on_server(f"CREATE DATABASE {of_server}" + (f" TEMPLATE {before.database}" if before else ""))
        if before is None:
            migrated = Database(url)
            await migrated.migrate()
            await migrated.close()
            return Template(database, folder)
        copy_objects(before, folder)
        installation = self._install(folder, url)
        await installation.start()
        made = await STAGES[name].make(installation, before.made)
        await installation.stop()
        return Template(database, folder, made)

    def reused(self, name: str) -> Reused:
        """The PostgreSQL database that tests of a stage use one after the other."""
        if name not in self._reused:
            self._reused[name] = Reused(self.stage(name).database)
        return self._reused[name]


def copy_objects(template: Template, folder: Path) -> None:
    """Into the folder of an installation that has not begun."""
    if (template.folder / "objects").exists():
        shutil.copytree(template.folder / "objects", folder / "objects")
