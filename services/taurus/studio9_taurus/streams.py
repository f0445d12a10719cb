"""The streams that Taurus serves now, from its live configuration."""

from dataclasses import dataclass

from pydantic import ValidationError

from studio9_common.config import LiveConfig
from studio9_common.contracts.configuration import StreamConfig
from studio9_common.logs import logger
from studio9_common.streams.events import ObjectCreated

PREFIX = "stream_"


@dataclass(frozen=True, slots=True)
class Active:
    """A stream and the organisation it belongs to."""

    organisation: str
    config: StreamConfig

    def wants(self, created: ObjectCreated) -> bool:
        """Whether an object is one of this stream's pictures; folders' marker objects are not."""
        inside = created.bucket == self.config.bucket and created.key.startswith(self.config.prefix)
        return inside and not created.key.endswith("/")


class ActiveStreams:
    """See the module's docstring. Settings that cannot be read are left out, with a log line."""

    def __init__(self, config: LiveConfig) -> None:
        self._config = config
        self._log = logger("taurus")

    def all(self) -> list[Active]:
        """Every enabled stream."""
        return [stream for stream in self._known() if stream.config.enabled]

    def wanting(self, created: ObjectCreated) -> list[Active]:
        return [stream for stream in self.all() if stream.wants(created)]

    def paused(self, created: ObjectCreated) -> bool:
        """Whether a stream that is switched off now will want this picture when it goes on."""
        return any(stream.wants(created) for stream in self._known() if not stream.config.enabled)

    def _known(self) -> list[Active]:
        found = []
        for entry in self._config.entries(PREFIX):
            try:
                stream = StreamConfig.model_validate(entry.value)
            except ValidationError as error:
                problem = error.errors(include_url=False, include_input=False)[0]
                self._log.error("bad_stream", key=entry.key, field=str(problem["loc"]), message=problem["msg"])
                continue
            found.append(Active(entry.organisation, stream))
        return found

    async def refresh(self) -> None:
        """Reads Argo again: a picture came that no known stream wants. Raises Unavailable."""
        await self._config.refresh()
