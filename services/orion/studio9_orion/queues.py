"""The queues that Orion consumes. A name ends in a version, because a queue's arguments cannot be changed."""

from studio9_common.bus.port import Queue
from studio9_common.contracts.messages import (
    JobCancel,
    JobCancelled,
    JobClean,
    JobCompleted,
    JobFailed,
    JobOutput,
    JobQueued,
    JobRequested,
    SchedulerCall,
    WorkerBeat,
    WorkerResult,
    WorkerTelemetry,
)

REQUESTS = Queue("orion.requests.v1", (JobRequested.routing_key, JobCancel.routing_key, JobOutput.routing_key))
RESULTS = Queue("orion.results.v1", (WorkerResult.binding(),))
TELEMETRY = Queue("orion.telemetry.v1", (WorkerTelemetry.binding(),))
CLEAN = Queue("orion.clean.v1", (JobClean.routing_key,))
SCHEDULE = Queue(
    "orion.schedule.v1",
    (SchedulerCall.routing_key,),
    transient=True,
    message_ttl_s=20,
    single_active=True,
    former=(JobQueued.routing_key, JobCompleted.routing_key, JobFailed.routing_key, JobCancelled.routing_key),
)
"""Wakes the scheduler; the tick is the fallback, so its messages may be lost. What the Orion that schedules writes
itself it need not be told, as releases before were by the former bindings."""

BEATS = Queue("orion.beats.v1", (WorkerBeat.binding(),), transient=True, message_ttl_s=20)
"""The time to live is fixed, as a queue's arguments must be; a worker gives each beat that of its own lease."""
