"""What a runner is told of an attempt, from its job and the worker's settings."""

from studio9_task.layout import TaskFolder
from studio9_worker.records import AttemptRecord
from studio9_worker.runners.port import Launch
from studio9_worker.settings import WorkerSettings

MIB, GIB = 1 << 20, 1 << 30


def launch_of(
    settings: WorkerSettings,
    record: AttemptRecord,
    folder: TaskFolder,
    request: bytes,
    threads: int,
    gpus: tuple[str, ...],
) -> Launch:
    """The launch of a staged attempt, with the GPUs of its slot."""
    memory = settings.task_memory_gib
    return Launch(
        key=record.key,
        folder=folder,
        request=request,
        image=record.run.spec.image,
        threads=threads,
        gpus=gpus,
        time_limit_s=record.run.spec.max_run_s,
        disconnect_grace_s=settings.disconnect_grace_s,
        stop_grace_s=settings.grace_s,
        memory_bytes=None if memory is None else int(memory * GIB),
        file_bytes=int(settings.output_gib * GIB),
        log_bytes=int(settings.task_log_mib * MIB),
        nice=settings.task_nice,
        flood_bytes=int(settings.task_flood_mib * MIB),
        disk_bytes=int(settings.task_disk_gib * GIB),
    )
