"""Settings of a service: command line > environment > file > Argo > default.

A service's own addresses and credentials never come from Argo. One class per service extends `ServiceSettings` and
sets `env_prefix` (`STUDIO9_ORION_`); what all services share can be given once as `STUDIO9_…`.
"""

import json
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self, get_origin

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from studio9_common.errors import BadInput


class BadSettings(BadInput):
    """A setting cannot be used; correct it on the command line, in the environment or in the settings file."""

    code = "bad_settings"


class ServiceSettings(BaseModel):
    """What every service needs. Unknown names in a file are refused, so that a typing error is seen."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    service: ClassVar[str] = "service"

    installation: str = Field("studio9", description="name of this installation; sweeps touch only their own")
    state_dir: Path = Field(Path("state"), description="folder for what a service keeps on disk")
    commit: str = Field("unknown", description="the commit of this build, stamped on what it makes")
    log_level: str = Field("info", description="debug, info, warning or error")
    log_format: str = Field("json", description="json or console")
    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(0, ge=0, le=65535, description="port to listen on; 0 takes a free one")
    bus_url: str = Field("", description="amqp://user:password@host/vhost, or sqlite:///file")
    token_keys: SecretStr = Field(
        SecretStr(""), description="service token keys, newest first: kid:base64url,kid:base64url"
    )
    aries_url: str = Field("", description="address of Aries")
    argo_url: str = Field("", description="address of Argo")

    @classmethod
    def load(
        cls,
        *,
        arguments: Mapping[str, Any] | None = None,
        environment: Mapping[str, str] | None = None,
        file: Path | None = None,
    ) -> Self:
        """The settings from all sources. `environment` defaults to the process's. Raises BadSettings."""
        given = os.environ if environment is None else environment
        values: dict[str, Any] = {}
        if file is not None:
            values.update(tomllib.loads(file.read_text()).get(cls.service, {}))
        for name in cls.model_fields:
            for variable in (f"STUDIO9_{name.upper()}", f"STUDIO9_{cls.service.upper()}_{name.upper()}"):
                if variable in given:
                    values[name] = _listed(given[variable]) if _is_list(cls, name) else given[variable]
        values.update(arguments or {})
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            name = ".".join(map(str, first["loc"]))
            raise BadSettings(f"{cls.service}: setting {name}: {first['msg']}", field=name) from None


def _is_list(settings: type[BaseModel], name: str) -> bool:
    return get_origin(settings.model_fields[name].annotation) in (tuple, list)


def _listed(text: str) -> Any:
    """A list in the environment is JSON, or texts separated by commas."""
    if not text.strip().startswith("["):
        return [part for part in map(str.strip, text.split(",")) if part]
    try:
        return json.loads(text)
    except ValueError:
        return text  # refused by validation, which names the setting
