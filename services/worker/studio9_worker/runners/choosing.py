"""Which runner a worker has, from its settings and what this machine can do. Blocks."""

import os

from studio9_common.errors import BadInput
from studio9_common.logs import logger
from studio9_worker.machine import memory_bytes
from studio9_worker.runners.container import ContainerRunner, Owner
from studio9_worker.runners.disks import Disks, in_words, usable
from studio9_worker.runners.engine import Engine, Image
from studio9_worker.runners.images import ImageStore
from studio9_worker.runners.mounted import mounted_program
from studio9_worker.runners.port import Runner, RunnerError
from studio9_worker.runners.process import ProcessRunner
from studio9_worker.runners.sealing import Program, Room
from studio9_worker.settings import WorkerSettings

TASK_USER = (10001, 10001)
"""Of tasks where the agent is root; elsewhere they are the agent's own user."""
GIB = 1 << 30
MEMORY_SHARE = 0.8
"""Of the machine's memory, for all slots together, where no limit is set."""


def choose_runner(settings: WorkerSettings, worker: str, slots: int) -> Runner:
    """The runner that the settings name. `auto`: containers where an engine answers and `task_image` is set.

    Raises BadInput and RunnerError for containers that cannot be had.
    """
    if settings.runner == "process" or (settings.runner == "auto" and not settings.task_image):
        return _processes(settings)
    try:
        return _containers(settings, worker, slots)
    except RunnerError as error:
        if settings.runner == "container":
            raise
        logger("worker").warning("no_containers", reason=error.message)
        return _processes(settings)


def _processes(settings: WorkerSettings) -> Runner:
    logger("worker").warning("tasks_not_isolated", runner="process", advice="run trusted tasks only on this worker")
    return ProcessRunner(settings.command, settings.trainers_python.parent)


def _containers(settings: WorkerSettings, worker: str, slots: int) -> Runner:
    if not settings.task_image:
        raise BadInput("Containers need an image for tasks that bring none.", field="task_image")
    engine = Engine(settings.docker_url)
    try:
        image, version = _image(engine, settings.task_image), engine.version()
    except RunnerError:
        engine.close()
        raise
    program = mounted_program(settings.trainers_python) if settings.mount_trainers else Program()
    memory = int(memory_bytes() * MEMORY_SHARE / max(1, slots))
    user = TASK_USER if os.geteuid() == 0 else (os.geteuid(), os.getegid())
    room = Room(
        user=user,
        memory_bytes=memory,
        processes=settings.task_processes,
        shm_bytes=int(settings.task_shm_gib * GIB),
        tmp_bytes=int(settings.task_tmp_gib * GIB),
    )
    owner = Owner(settings.installation, worker)
    disks = _disks(settings, engine, image, owner)
    logger("worker").info(
        "tasks_in_containers",
        engine=version,
        image=image.id,
        trainers="mounted" if settings.mount_trainers else "in the image",
        disk=in_words(disks),
    )
    images = ImageStore(engine, settings.state_dir / "images.json", int(settings.image_cache_gib * GIB))
    own = disks if isinstance(disks, Disks) else None
    return ContainerRunner(engine, image, program, room, owner, images, own)


def _disks(settings: WorkerSettings, engine: Engine, image: Image, owner: Owner) -> Disks | str:
    """Raises RunnerError where they are asked for and cannot be had."""
    if settings.task_disk == "polling":
        return "as it is set"
    root = settings.state_dir.absolute() / "disks"
    found = usable(root, engine, image, owner.name("disk"))
    if isinstance(found, str) and settings.task_disk == "filesystem":
        raise RunnerError(f"Tasks cannot have file systems of their own: {found}")
    return found


def _image(engine: Engine, reference: str) -> Image:
    """The operator's image, fixed by its id from now on; a name may have a tag, but not the moving one."""
    if reference.endswith(":latest") or ":" not in reference.rpartition("/")[2]:
        raise BadInput(
            f"{reference!r} may be another image tomorrow.", field="task_image", fix="name a digest, an id or a tag"
        )
    try:
        return engine.local_image(reference)
    except RunnerError:
        if "@" not in reference:
            raise
    engine.pull(reference)
    return engine.local_image(reference)
