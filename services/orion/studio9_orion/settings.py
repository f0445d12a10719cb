"""Settings of Orion (`STUDIO9_ORION_…`). Times are seconds."""

from typing import ClassVar

from pydantic import Field, SecretStr

from studio9_common.objects.settings import WithObjects
from studio9_orion.core import Policy


class OrionSettings(WithObjects):
    """How long Orion waits for what; the defaults are those of the design."""

    service: ClassVar[str] = "orion"

    name: str = Field("", max_length=128, description="this Orion's name in marks and epochs; empty: a new id")
    lease_s: float = Field(20.0, ge=1, description="how long a beat holds")
    tick_s: float = Field(5.0, gt=0, description="time between two sweeps of deadlines, and two passes at the least")
    full_read_s: float = Field(60.0, gt=0, description="time between two looks of the scheduler at all that waits")
    orphan_tick_s: float = Field(60.0, gt=0, description="time between two sweeps for what jobs left behind")

    assigned_s: float = Field(30.0, gt=0, description="until an assigned worker must have shown the attempt in a beat")
    starting_s: float = Field(900.0, gt=0, description="until an attempt must run after its inputs began to be staged")
    starting_sources_s: float = Field(
        7_200.0, gt=0, description="the same where inputs come from buckets of users' own: 20 GiB at 3 MiB/s"
    )
    overrun_s: float = Field(60.0, ge=0, description="granted beyond a job's own max_run_s, which the worker enforces")
    queue_s: float = Field(7 * 86_400.0, gt=0, description="longest wait for a slot, unless the job says otherwise")
    cancelling_s: float = Field(25.0, gt=0, description="until a cancelled job ends, whatever its worker does")
    cancel_grace_s: float = Field(20.0, ge=0, description="between SIGTERM and SIGKILL of a cancelled task")
    related_s: float = Field(30.0, gt=0, description="how often a waiting job looks at what it depends on")
    cleaning_s: float = Field(30.0, gt=0, description="until cleaning is ordered again; grows to ten minutes")
    outputs_s: float = Field(86_400.0, gt=0, description="how long the warehouse may take to load an output")
    outputs_retry_s: float = Field(60.0, gt=0, description="until the warehouse is reminded; grows to an hour")
    back_off_s: tuple[float, ...] = Field(
        (2.0, 15.0, 60.0), min_length=1, description="waits before the retries, commas between"
    )
    keep_checkpoints_s: float = Field(7 * 86_400.0, ge=0, description="how long failed jobs keep their checkpoint")

    organisation_limit: int | None = Field(
        None, ge=1, description="jobs of one organisation that run at once, where Argo has no limit of its own"
    )
    broker_management_url: SecretStr = Field(
        SecretStr(""),
        description="RabbitMQ's management API with an administrator, http://user:password@host:15672, which makes the "
        "broker users of machines that join; empty: none can",
    )
    workers_bus_url: str = Field(
        "", description="the broker as machines that join reach it, without user; empty: where bus_url is"
    )
    workers_argo_url: str = Field("", description="Argo as machines that join reach it; empty: as argo_url")
    workers_objects_endpoint: str = Field(
        "", description="the S3 server as machines that join reach it; empty: as objects_endpoint"
    )
    workers_objects_role: str = Field(
        "",
        description="role that is assumed to lend machines that join temporary keys of the S3 storage (any name of 20 "
        "characters for MinIO); empty: they bring keys of their own",
    )
    workers_task_image: str = Field("", description="image of the tasks of machines that join, unless they name one")

    batch: int = Field(128, ge=1, le=1_000, description="messages that are handled together")

    @property
    def policy(self) -> Policy:
        """The numbers that the core decides by."""
        return Policy(
            lease_s=self.lease_s,
            assigned_s=self.assigned_s,
            starting_s=self.starting_s,
            starting_sources_s=self.starting_sources_s,
            overrun_s=self.overrun_s,
            queue_s=self.queue_s,
            cancelling_s=self.cancelling_s,
            cancel_grace_s=self.cancel_grace_s,
            related_s=self.related_s,
            cleaning_s=self.cleaning_s,
            outputs_s=self.outputs_s,
            outputs_retry_s=self.outputs_retry_s,
            back_off_s=self.back_off_s,
            keep_checkpoints_s=self.keep_checkpoints_s,
        )
