"""Commands that answer a question, which is asked again where they are lost, outside the outbox."""

from collections.abc import Mapping
from typing import Any

from studio9_common.contracts.job import Command
from studio9_common.contracts.messages import Message
from studio9_orion.core.draft import Draft


def reply(draft: Draft, message: type[Message], data: Mapping[str, Any] | None = None) -> Command:
    """A command with number 0: no receiver takes it for one of the outbox."""
    return Command(n=0, type=message.type, data=dict(data or {}), created_at=draft.time)
