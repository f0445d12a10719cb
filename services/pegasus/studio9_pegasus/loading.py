"""What Pegasus does when a prediction job has completed: one output, loaded once, its fate told on the bus."""

import hashlib
from collections.abc import Callable

from pydantic import ValidationError

from studio9_common.bus.port import Bus, Delivery
from studio9_common.contracts.envelope import decode, encode
from studio9_common.contracts.messages import JobCompleted, JobOutput
from studio9_common.contracts.predictions import AttemptManifest, PredictionsOutput
from studio9_common.errors import BadInput, Studio9Error
from studio9_common.logs import logger
from studio9_common.objects.port import ObjectMissing, Objects
from studio9_common.tracing import Tracer, current_traceparent
from studio9_common.warehouse.port import BadPart, Load, ManifestChanged, Part, Warehouse
from studio9_pegasus.settings import PegasusSettings

KIND = "predict"
OUTPUT = "predictions"


class BadManifest(BadInput):
    """The manifest of this job's outputs is not there, damaged, or holds no predictions; nothing can be loaded."""

    code = "bad_manifest"


class TooManyRows(BadInput):
    """This output has more rows than may be loaded at once; raise Pegasus' `load_rows`, or predict in parts."""

    code = "too_many_rows"


class Loading:
    """Handles `job.completed`. What the warehouse or the storage being away raises goes on to the consumer loop."""

    def __init__(
        self,
        bus: Bus,
        objects: Objects,
        warehouse: Warehouse,
        settings: Callable[[str], PegasusSettings],
        tracer: Tracer,
    ) -> None:
        self._bus, self._objects, self._warehouse, self._settings = bus, objects, warehouse, settings
        self._tracer = tracer
        self._log = logger("pegasus")

    async def handle(self, delivery: Delivery) -> None:
        """Loads the predictions of one completed job; other kinds of job are none of Pegasus' business."""
        envelope = decode(delivery.body)
        if isinstance(envelope.data, JobCompleted) and envelope.data.kind == KIND:
            job = envelope.data
            with self._tracer.handling(f"load {OUTPUT}", envelope.traceparent, job=job.job, attempt=job.attempt):
                await self._load(envelope.organisation, job)

    async def _load(self, organisation: str, job: JobCompleted) -> None:
        log = self._log.bind(job=job.job, organisation=organisation, attempt=job.attempt)
        digest = job.manifest.sha256 if job.manifest else ""
        told = JobOutput(job=job.job, output=OUTPUT, state="loading", manifest_sha256=digest)
        await self._tell(organisation, told)
        try:
            output = await self._output(organisation, job)
            most = self._settings(organisation).load_rows
            if output.rows > most:
                raise TooManyRows(f"the output has {output.rows} rows; at most {most} are loaded")
            loaded = await self._warehouse.load(
                Load(
                    organisation=organisation,
                    job=job.job,
                    output=output.output,
                    manifest_sha256=digest,
                    parts=[Part(one.key, one.sha256, one.size, one.rows or 0) for one in output.parts],
                    rows=output.rows,
                )
            )
        except (BadManifest, BadPart, ManifestChanged, TooManyRows) as error:
            log.error("load_failed", code=error.code, message=error.message)
            await self._tell(organisation, told.model_copy(update={"state": "failed", "message": error.message}))
            return
        log.info("loaded", rows=loaded.rows, repeated=loaded.repeated)
        await self._tell(organisation, told.model_copy(update={"state": "loaded", "rows": loaded.rows}))

    async def _output(self, organisation: str, job: JobCompleted) -> PredictionsOutput:
        """The predictions that the manifest names, the manifest checked against the job's event."""
        if job.manifest is None:
            raise BadManifest(f"job {job.job} completed without a manifest")
        try:
            content = await self._objects.get(job.manifest.key)
        except ObjectMissing:
            raise BadManifest(f"there is no manifest at {job.manifest.key}") from None
        if hashlib.sha256(content).hexdigest() != job.manifest.sha256:
            raise BadManifest(f"the manifest at {job.manifest.key} is not the one that the job names")
        try:
            manifest = AttemptManifest.model_validate_json(content)
        except ValidationError as error:
            raise BadManifest(f"{job.manifest.key}: {error.errors(include_url=False)[0]['msg']}") from None
        if (manifest.organisation, manifest.job) != (organisation, job.job):
            raise BadManifest(f"the manifest at {job.manifest.key} belongs to another job")
        if manifest.predictions is None:
            raise BadManifest(f"the manifest of job {job.job} names no predictions")
        return manifest.predictions

    async def _tell(self, organisation: str, output: JobOutput) -> None:
        await self._bus.publish(
            encode(output, source="pegasus", organisation=organisation, traceparent=current_traceparent())
        )

    async def given_up(self, delivery: Delivery, reason: str) -> None:
        """A completed job whose loading failed too often: the job says so, so that somebody looks."""
        try:
            envelope = decode(delivery.body)
        except Studio9Error:
            return
        if isinstance(envelope.data, JobCompleted) and envelope.data.kind == KIND:
            failed = JobOutput(job=envelope.data.job, output=OUTPUT, state="failed", message=reason[:1000])
            await self._tell(envelope.organisation, failed)
