"""The worker's settings (`STUDIO9_WORKER_…`). Times are seconds, sizes GiB."""

import shlex
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, SecretStr

from studio9_common.live import LIVE
from studio9_common.objects.settings import WithObjects


class WorkerSettings(WithObjects):
    """What one worker needs; each field says what it means."""

    service: ClassVar[str] = "worker"

    worker_id: str = Field(
        "",
        pattern=r"^[A-Za-z0-9_-]{0,64}$",
        description="this worker's name, without dots; empty: an id made at the first start and kept in state_dir",
    )
    join_token: SecretStr = Field(
        SecretStr(""), description="one-time token with which this machine joins, if it has not yet"
    )
    orion_url: str = Field("", description="address of Orion, where the join token is redeemed")
    labels: str = Field("", description="what jobs may ask of this worker, separated by commas")
    cpu_slots: int = Field(1, ge=0, le=64, description="how many tasks run at once on the processor")
    gpu_slots: bool = Field(True, description="offer a slot for each GPU of this machine")
    runner: Literal["auto", "process", "container"] = Field(
        "auto",
        description="how tasks run; auto: in containers where task_image is set and an engine answers, else as child "
        "processes, which only trusted tasks may be",
    )
    docker_url: str = Field("unix:///var/run/docker.sock", description="address of the Docker Engine")
    task_image: str = Field(
        "", description="image of tasks that bring none: name@sha256:…, sha256:… or name:tag of a local one"
    )
    mount_trainers: bool = Field(
        False,
        description="mount the trainers' environment of this machine into containers; task_image is then any base",
    )
    trainers_python: Path = Field(
        Path("/opt/trainers/bin/python"), description="interpreter of the trainers' environment, which tasks run in"
    )
    task_command: str = Field(
        "", description="command that gets a task's folder as last argument; empty: studio9-task beside trainers_python"
    )
    threads: int = Field(
        0, ge=0, le=1024, description="threads of one task; 0: the cores that are free when it starts, at least 1"
    )

    beat_s: float = Field(5.0, gt=0, description="time between two beats")
    lease_s: float = Field(20.0, gt=0, description="how long a beat is worth delivering")
    disconnect_grace_s: float = Field(7200.0, gt=0, description="how long a cut-off task goes on computing")
    stop_grace_s: float = Field(20.0, gt=0, le=60, description="between SIGTERM and SIGKILL")
    poll_s: float = Field(0.25, gt=0, description="how often a task's files are looked at")
    result_resend_s: float = Field(10.0, gt=0, description="until it is confirmed, a result is sent so often")
    sweep_s: float = Field(60.0, gt=0, description="how often folders that no attempt owns are removed")
    stop_tasks_on_exit: bool = Field(
        False, description="stop running tasks with the agent; they resume from their checkpoint when it is back"
    )

    staging_patience_s: float = Field(
        900.0, gt=0, description="how long inputs wait for an object storage that is away"
    )
    staging_parallel: int = Field(16, ge=1, le=64, description="downloads at once")
    uploads_parallel: int = Field(4, ge=1, le=64, description="outputs of one attempt that are uploaded at once")
    cache_gib: float = Field(20.0, ge=0, description="size of the cache of inputs", json_schema_extra=LIVE)
    buckets_endpoint: str = Field(
        "",
        description="where users' buckets answer, if not at AWS (http://host:9000); only this one may be a private "
        "address or without TLS",
    )
    bucket_gib: float = Field(
        20.0, gt=0, description="all that one attempt brings from users' buckets", json_schema_extra=LIVE
    )
    bucket_objects: int = Field(
        10_000, ge=1, le=1_000_000, description="number of objects among it", json_schema_extra=LIVE
    )
    image_cache_gib: float = Field(
        100.0, ge=0, description="images that tasks brought; beyond it those go that were not used for longest"
    )
    output_gib: float = Field(20.0, gt=0, description="largest single output", json_schema_extra=LIVE)
    outputs_gib: float = Field(50.0, gt=0, description="all outputs of one attempt", json_schema_extra=LIVE)
    outputs_count: int = Field(
        10_000, ge=1, le=100_000, description="number of outputs of one attempt", json_schema_extra=LIVE
    )
    upload_patience_s: float = Field(
        7200.0, gt=0, description="how long outputs wait for an object storage that is away"
    )
    rows_per_part: int = Field(200_000, ge=1, description="rows in one part of a prediction table")
    task_memory_gib: float | None = Field(
        None, gt=0, description="memory of one task; none: no limit, in a container a slot's share of the machine"
    )
    task_disk_gib: float = Field(50.0, gt=0, description="all that one task writes, in a container")
    task_disk: Literal["auto", "filesystem", "polling"] = Field(
        "auto",
        description="what holds that limit: a file system of its size where the agent may mount one, or looking often",
    )
    task_processes: int = Field(512, ge=16, description="processes and threads of one task, in a container")
    task_shm_gib: float = Field(1.0, gt=0, description="shared memory of one task, in a container")
    task_tmp_gib: float = Field(1.0, gt=0, description="/tmp and caches of one task in memory, in a container")
    task_log_mib: float = Field(16.0, gt=0, description="output of a task that is kept, MiB", json_schema_extra=LIVE)
    task_flood_mib: float = Field(1024.0, gt=0, description="output that ends a task, kept or not, MiB")
    task_nice: int = Field(5, ge=0, le=19, description="how far tasks stand back behind the platform")

    @property
    def label_set(self) -> tuple[str, ...]:
        """The labels, each once, in order."""
        return tuple(dict.fromkeys(filter(None, (part.strip() for part in self.labels.split(",")))))

    @property
    def command(self) -> tuple[str, ...]:
        """What starts a task; its folder follows as last argument."""
        return tuple(shlex.split(self.task_command)) or (str(self.trainers_python.parent / "studio9-task"),)

    @property
    def grace_s(self) -> float:
        """Between SIGTERM and SIGKILL. A service stops within 10 s, so its tasks must have ended by then."""
        return min(self.stop_grace_s, 7.0) if self.stop_tasks_on_exit else self.stop_grace_s
