"""What a run left behind: processes of tasks, job folders, scratch objects, superseded attempts, beats."""

import asyncio
import json
from pathlib import Path

from studio9_cli.chaos.checker import Effect
from studio9_cli.chaos.plan import WORKERS
from studio9_cli.chaos.platform import Platform
from studio9_cli.chaos.services import task_processes
from studio9_common.contracts.collections import BEATS
from studio9_common.contracts.job import Job
from studio9_orion.core.keeping import fence_of, kept_fences

Left = list[tuple[str, str]]


async def remains(platform: Platform, jobs: dict[str, Job], organisations: tuple[str, ...]) -> Left:
    """Whatever no ended job may leave, as (job, what). Raises Unavailable."""
    found = await asyncio.to_thread(_on_workers, platform)
    for organisation in organisations:
        async for info in platform.objects.list(f"{organisation}/"):
            _, kind, id, *_ = info.key.split("/")
            if kind == "scratch":
                found.append((id, f"the scratch object {info.key}"))
            elif kind == "jobs" and id in jobs and fence_of(jobs[id], info.key) not in kept_fences(jobs[id]):
                found.append((id, f"the object {info.key} of an attempt that does not count"))
    async for document in platform.aries.search_all(BEATS.name, fresh=True):
        found.append((document.body["job"], f"the beat {document.id}"))
    return found


def _on_workers(platform: Platform) -> Left:
    found: Left = []
    for worker in WORKERS:
        folder = platform.services.jobs_folder(worker)
        if folder.is_dir():
            found += [(one.name.partition(".")[0], f"the folder {one.name} on {worker}") for one in folder.iterdir()]
        for pid in task_processes(folder):
            found.append((_job_of(pid, folder), f"a process of a task on {worker}"))
    return found


def _job_of(pid: int, folder: Path) -> str:
    try:
        line = Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
    except OSError:
        return ""
    return line.partition(f"{folder}/")[2].partition(".")[0]


def effects_of(file: Path) -> list[Effect]:
    """What the tasks wrote down; a last line that a kill cut off does not count."""
    if not file.exists():
        return []
    lines = file.read_text(encoding="utf-8").splitlines()
    found = []
    for line in lines:
        try:
            told = json.loads(line)
        except ValueError:
            continue
        found.append(Effect(told["what"], told["job"], told["fence"], told["worker"], told["at"]))
    return found
