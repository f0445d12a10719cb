"""Settings that may change while a service runs: their default comes from Argo, where Argo has one.

A field of a settings class that says `json_schema_extra=LIVE` may stand in Argo as an entry of the service whose key is
the field's name: for the installation or, where the service asks for an organisation's, for that organisation. What
the command line, the environment or the file says comes first, as everywhere.
"""

from collections.abc import Mapping
from typing import Any, Generic, TypeVar

from pydantic import ValidationError

from studio9_common.config import LiveConfig
from studio9_common.contracts.configuration import SYSTEM
from studio9_common.logs import logger
from studio9_common.settings import ServiceSettings

LIVE: dict[str, Any] = {"live": True}
"""Marks a field; never one with an address or a credential."""

S = TypeVar("S", bound=ServiceSettings)


def live_fields(settings: type[ServiceSettings]) -> tuple[str, ...]:
    """The names of the fields that may change while the service runs."""
    return tuple(name for name, field in settings.model_fields.items() if field.json_schema_extra == LIVE)


def live_schemas(settings: type[ServiceSettings]) -> dict[str, Mapping[str, Any]]:
    """Their types, by key: what Argo takes for each."""
    properties = settings.model_json_schema()["properties"]
    wanted = ("type", "anyOf", "enum", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "pattern")
    return {
        name: {word: value for word, value in properties[name].items() if word in wanted}
        for name in live_fields(settings)
    }


class LiveSettings(Generic[S]):
    """The settings of a service as they are now. Without `config` they stay as they were given."""

    def __init__(self, settings: S, config: LiveConfig | None = None) -> None:
        self._settings, self._config = settings, config
        self._open = [name for name in live_fields(type(settings)) if name not in settings.model_fields_set]
        self._log = logger(settings.service)

    def now(self, organisation: str = SYSTEM) -> S:
        """For work of this organisation. A value that cannot be used is left out, with a log line."""
        found: dict[str, Any] = {}
        if self._config is not None:
            for name in self._open:
                value = self._config.get(name, organisation=organisation)
                if value is not None and self._usable(name, value):
                    found[name] = value
        return self._settings.model_copy(update=found) if found else self._settings

    def _usable(self, name: str, value: Any) -> bool:
        try:
            type(self._settings).model_validate({name: value})
        except ValidationError as error:
            problem = error.errors(include_url=False, include_input=False)[0]
            self._log.error("bad_live_setting", key=name, message=problem["msg"])
            return False
        return True
