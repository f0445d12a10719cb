"""What a job of a kind gets where its request does not say: Argo's `job.{kind}/limits`, followed live."""

from dataclasses import dataclass, replace

from pydantic import ValidationError

from studio9_common.config import LiveConfig
from studio9_common.contracts.configuration import JobLimits
from studio9_common.contracts.job import Spec
from studio9_common.logs import logger

KINDS = ("train", "evaluate", "predict")
KEY = "limits"
WATCHED = tuple(f"job.{kind}" for kind in KINDS)


@dataclass(frozen=True, slots=True)
class Limited:
    """A job's spec with the organisation's limits, and its priority. The job records what it ran with."""

    spec: Spec
    priority: int


class Limits:
    """Reads the live values. One that cannot be used is left out, with a log line."""

    def __init__(self, config: LiveConfig) -> None:
        self._config = config
        self._log = logger("baile")

    def apply(self, organisation: str, spec: Spec) -> Limited:
        """The spec with what is set for its kind: the organisation's values before the installation's."""
        value = self._config.get(KEY, service=f"job.{spec.kind}", organisation=organisation)
        if value is None:
            return Limited(spec, 0)
        try:
            limits = JobLimits.model_validate(value)
        except ValidationError as error:
            problem = error.errors(include_url=False, include_input=False)[0]
            self._log.error("bad_limits", kind=spec.kind, organisation=organisation, message=problem["msg"])
            return Limited(spec, 0)
        changed = replace(
            spec,
            max_run_s=limits.max_run_s or spec.max_run_s,
            queue_timeout_s=limits.queue_timeout_s or spec.queue_timeout_s,
        )
        return Limited(changed, limits.priority or 0)
