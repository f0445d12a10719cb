"""What operators set for the scheduler: weights, limits and the order of the classes, followed live from Argo."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Protocol

from pydantic import Field, TypeAdapter, ValidationError

from studio9_common.config import Listener
from studio9_common.contracts.configuration import Entry
from studio9_common.logs import logger
from studio9_orion.scheduler.model import CLASSES

SERVICE = "orion"
CLASSES_KEY, WEIGHT, LIMIT, PROJECT_LIMIT = "classes", "weight", "organisation_limit", "project_limit"

_Name = Annotated[str, Field(min_length=1, max_length=64)]
_AtOnce = Annotated[int, Field(ge=1, le=1_000_000, strict=True)] | None
_TYPES: dict[str, TypeAdapter[Any]] = {
    CLASSES_KEY: TypeAdapter(Annotated[tuple[_Name, ...], Field(min_length=1, max_length=50)]),
    WEIGHT: TypeAdapter(Annotated[float, Field(ge=0.001, le=1_000, allow_inf_nan=False)]),
    LIMIT: TypeAdapter(_AtOnce),
    PROJECT_LIMIT: TypeAdapter(_AtOnce),
}
SCHEMAS: Mapping[str, Mapping[str, Any]] = {key: kind.json_schema() for key, kind in _TYPES.items()}
"""The types of the keys, as Argo is told them."""


@dataclass(frozen=True, slots=True)
class Rules:
    """Classes, the first served first; weights (a missing one is `weight`); how many jobs may run at once: of an
    organisation (a missing one is `limit`), of a project (by organisation and project; an empty project is for each of
    the organisation's; a missing one is `project_limit`). None is no limit."""

    classes: tuple[str, ...] = CLASSES
    weight: float = 1.0
    weights: Mapping[str, float] = field(default_factory=dict)
    limit: int | None = None
    limits: Mapping[str, int | None] = field(default_factory=dict)
    project_limit: int | None = None
    project_limits: Mapping[tuple[str, str], int | None] = field(default_factory=dict)


class Live(Protocol):
    """What is needed of `studio9_common.config.LiveConfig`."""

    def entries(self, prefix: str = "", *, service: str | None = None) -> list[Entry]: ...

    def on_change(self, listener: Listener) -> None: ...


class LiveRules:
    """Follows the live values. One that cannot be used is refused with a log line, and the last good one stays.

    `default` holds where nothing is set; a limit in it comes from the service's own settings, which the installation's
    value does not change. `on_change` is called after each change.
    """

    def __init__(self, config: Live, default: Rules, on_change: Callable[[], None]) -> None:
        self._config, self._default, self._on_change = config, default, on_change
        self._good: dict[tuple[str, str, str], Any] = {}
        self._log = logger(SERVICE)
        self.current = default
        config.on_change(self._changed)

    def load(self) -> None:
        """Takes what is known when the configuration has started."""
        for entry in self._config.entries(service=SERVICE):
            self._take(entry)
        self._make()

    async def _changed(self, entry: Entry) -> None:
        if entry.service == SERVICE:
            self._take(entry)
            self._make()

    def _take(self, entry: Entry) -> None:
        if entry.key not in _TYPES:
            return
        place = (entry.key, "" if entry.scope == "installation" else entry.organisation, entry.project or "")
        if entry.deleted:
            self._good.pop(place, None)
            return
        try:
            self._good[place] = _TYPES[entry.key].validate_python(entry.value)
        except ValidationError as error:
            problem = error.errors(include_url=False, include_input=False)[0]
            self._log.error(
                "bad_configuration", key=entry.key, organisation=entry.organisation, project=entry.project,
                message=problem["msg"], kept=place in self._good,
            )  # fmt: skip

    def _make(self) -> None:
        good, default = self._good, self._default

        def own(key: str) -> dict[tuple[str, str], Any]:
            return {(place[1], place[2]): value for place, value in good.items() if place[0] == key and place[1]}

        self.current = Rules(
            classes=good.get((CLASSES_KEY, "", ""), default.classes),
            weight=good.get((WEIGHT, "", ""), default.weight),
            weights={name: value for (name, project), value in own(WEIGHT).items() if not project},
            limit=good.get((LIMIT, "", "")) if default.limit is None else default.limit,
            limits={name: value for (name, project), value in own(LIMIT).items() if not project},
            project_limit=good.get((PROJECT_LIMIT, "", ""), default.project_limit),
            project_limits=own(PROJECT_LIMIT),
        )
        self._on_change()
