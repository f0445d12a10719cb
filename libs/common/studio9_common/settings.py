"""Settings of a service: command line > environment > file > default; what may change while it runs comes from Argo.

One class per service extends `ServiceSettings`. In the environment a setting is `STUDIO9_ORION_TICK_S`, or
`STUDIO9_BUS_URL` for all services alike; in the file it stands in the service's table (`[orion]`). A service's own
addresses and credentials never come from Argo: live values are `studio9_common.config.LiveConfig`'s.
"""

import argparse
import json
import os
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, Self, get_origin

from pydantic import BaseModel, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from studio9_common.errors import BadInput


class BadSettings(BadInput):
    """A setting cannot be used; correct it on the command line, in the environment or in the settings file."""

    code = "bad_settings"


class ServiceSettings(BaseSettings):
    """What every service needs. Unknown names in a file are refused, so that a typing error is seen."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid")
    service: ClassVar[str] = "service"

    installation: str = Field("studio9", description="name of this installation; sweeps touch only their own")
    state_dir: Path = Field(Path("state"), description="folder for what a service keeps on disk")
    commit: str = Field("unknown", description="the commit of this build, stamped on what it makes")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="what is logged at least")
    log_format: Literal["json", "console"] = Field("json", description="JSON lines, or for people")
    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(0, ge=0, le=65535, description="port to listen on; 0 takes a free one")
    bus_url: str = Field("", description="amqp://user:password@host/vhost, or sqlite:///file")
    token_keys: SecretStr = Field(
        SecretStr(""), description="service token keys, newest first: kid:base64url,kid:base64url"
    )
    aries_url: str = Field("", description="address of Aries")
    argo_url: str = Field("", description="address of Argo")
    otlp_url: str = Field("", description="OpenTelemetry collector that gets spans (http://host:4318); empty: none")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Made by hand, settings read nothing else: only `load` looks at the environment."""
        return (init_settings,)

    @classmethod
    def of_process(cls, argv: Sequence[str] | None = None) -> Self:
        """The settings of this process: `--set NAME=VALUE` before the environment before `--config FILE`.

        Other words on the command line are the caller's own. Raises BadSettings.
        """
        parser = argparse.ArgumentParser(allow_abbrev=False, add_help=False)
        parser.add_argument("--config", type=Path)
        parser.add_argument("--set", action="append", default=[])
        given, _ = parser.parse_known_args(argv)
        pairs = [text.partition("=") for text in given.set]
        for name, sign, _value in pairs:
            if not sign or name not in cls.model_fields:
                raise BadSettings(f"{cls.service}: --set {name}: write NAME=VALUE with a setting's name", field=name)
        return cls.load(arguments={name: _read(cls, name, value) for name, _, value in pairs}, file=given.config)

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
            values.update(_table(file, cls.service))
        for name in cls.model_fields:
            for variable in (f"STUDIO9_{name.upper()}", f"STUDIO9_{cls.service.upper()}_{name.upper()}"):
                if variable in given:
                    values[name] = _read(cls, name, given[variable])
        values.update(arguments or {})
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            name = ".".join(map(str, first["loc"]))
            raise BadSettings(f"{cls.service}: setting {name}: {first['msg']}", field=name) from None


def _table(file: Path, service: str) -> dict[str, Any]:
    """The service's table of a settings file. Raises BadSettings."""
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8")).get(service, {})
    except (OSError, ValueError) as error:
        raise BadSettings(f"{service}: the settings file {file} cannot be read: {error}", field="config") from None
    return dict(table)


def _read(settings: type[BaseModel], name: str, text: str) -> Any:
    """A setting as text gives it."""
    return _listed(text) if _is_list(settings, name) else text


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
