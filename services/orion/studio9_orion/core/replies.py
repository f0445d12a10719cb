"""Commands that answer a repeated question, outside the outbox."""

from studio9_common.contracts.job import Command
from studio9_common.contracts.messages import Message
from studio9_orion.core.draft import Draft


def reply(draft: Draft, message: type[Message]) -> Command:
    """A command with number 0: no receiver takes it for one of the outbox."""
    return Command(n=0, type=message.type, data={}, created_at=draft.time)
