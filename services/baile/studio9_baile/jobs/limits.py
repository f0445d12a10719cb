"""Limits from Argo, followed live: what a job of a kind gets where its request does not say (`job.{kind}/limits`), and
how much an organisation may keep (`baile/quotas`), and how much a job may bring (`worker/outputs_count`)."""

from dataclasses import dataclass, replace
from typing import TypeVar

from pydantic import ValidationError

from studio9_common.config import LiveConfig
from studio9_common.contracts.configuration import JobLimits, Quotas
from studio9_common.contracts.job import Spec
from studio9_common.logs import logger

KINDS = ("train", "evaluate", "predict")
KEY = "limits"
SERVICE, QUOTAS = "baile", "quotas"
WORKER, OUTPUTS = "worker", "outputs_count"
MOST_OUTPUTS = 10_000
"""As a worker has it where nothing is set."""
WATCHED = (SERVICE, WORKER, *(f"job.{kind}" for kind in KINDS))
Kept = TypeVar("Kept", JobLimits, Quotas)


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
        limits = self._read(JobLimits, f"job.{spec.kind}", KEY, organisation)
        changed = replace(
            spec,
            max_run_s=limits.max_run_s or spec.max_run_s,
            queue_timeout_s=limits.queue_timeout_s or spec.queue_timeout_s,
        )
        return Limited(changed, limits.priority or 0)

    def quotas(self, organisation: str) -> Quotas:
        """How much the organisation may keep: its own value before the installation's."""
        return self._read(Quotas, SERVICE, QUOTAS, organisation)

    def outputs(self, organisation: str) -> int:
        """How many outputs of one attempt workers take."""
        value = self._config.get(OUTPUTS, MOST_OUTPUTS, service=WORKER, organisation=organisation)
        return value if isinstance(value, int) else MOST_OUTPUTS

    def _read(self, model: type[Kept], service: str, key: str, organisation: str) -> Kept:
        value = self._config.get(key, {}, service=service, organisation=organisation)
        try:
            return model.model_validate(value)
        except ValidationError as error:
            problem = error.errors(include_url=False, include_input=False)[0]
            self._log.error("bad_limits", of=service, key=key, organisation=organisation, message=problem["msg"])
            return model()
