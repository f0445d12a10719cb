"""A job while one decision changes it. Lives inside `decide` only; what comes out is frozen."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from studio9_common.contracts.job import Command, Event, Job, Phase, changed
from studio9_common.contracts.messages import Message
from studio9_common.contracts.reasons import Reason
from studio9_common.times import format_time
from studio9_orion.core.decision import Answer, Decision, Effect
from studio9_orion.core.history import append
from studio9_orion.core.life import STATE_OF, STEPS
from studio9_orion.core.policy import Policy


class Draft:
    """The job `before`, the job so far, and what came of it."""

    def __init__(self, job: Job, now: datetime, policy: Policy, *, fresh: bool = False) -> None:
        self.before = None if fresh else job
        self.job = job
        self.now = now
        self.policy = policy
        self.time = format_time(now)
        self.commands: list[Command] = []
        self.effects: list[Effect] = []

    def at(self, seconds: float) -> str:
        """The stored form of the time so many seconds from now."""
        return format_time(self.now + timedelta(seconds=seconds))

    def set(self, **changes: Any) -> None:
        self.job = changed(self.job, changes)

    def record(
        self,
        type: str,
        *,
        phase: Phase | None = None,
        attempt: int | None = None,
        reason: Reason | None = None,
        detail: str = "",
    ) -> None:
        """Adds a life-cycle event and moves to the phase that it leads to (`phase` where it may lead to several).

        A step to another phase drops the deadlines of the last one; `wait` sets those of the new.
        """
        step = STEPS[type]
        target = phase or (step.targets[0] if step.targets else self.job.phase)
        state = step.state or STATE_OF.get(target, self.job.state)
        last = self.job.events[-1].n if self.job.events else 0
        event = Event(
            n=last + 1,
            time=self.time,
            type=type,
            phase=target,
            state=state,
            attempt=attempt,
            reason=reason,
            detail=detail[:200],
        )
        changes: dict[str, Any] = {"events": append(self.job.events, event), "updated_at": self.time}
        if step.targets:
            changes |= {"phase": target, "state": state, "deadlines": {}}
            if type != "cleaned":
                changes["reason"] = reason
        self.set(**changes)

    def wait(self, **seconds: float) -> None:
        """Sets deadlines by name, seconds from now, beside those that the job has."""
        self.until(**{name: self.at(value) for name, value in seconds.items()})

    def watch_parent(self) -> None:
        """A child looks after its parent by itself: the news of its end may be lost."""
        if self.job.parent is not None:
            self.wait(related=self.policy.related_s)

    def until(self, **times: str) -> None:
        """Sets deadlines by name and time."""
        self.set(deadlines={**self.job.deadlines, **times})

    def due(self, name: str) -> bool:
        """Whether this deadline is there and has passed."""
        time = self.job.deadlines.get(name)
        return time is not None and time <= self.time

    def command(self, message: type[Message], data: Mapping[str, Any] | None = None) -> Command:
        """Adds a command to the outbox. It holds only what the job's document does not say anyway."""
        command = Command(n=self.job.next_command, type=message.type, data=dict(data or {}), created_at=self.time)
        self.set(outbox=(*self.job.outbox, command), next_command=command.n + 1, updated_at=self.time)
        self.commands.append(command)
        return command

    def pending(self, message: type[Message]) -> bool:
        """Whether a command of this type still waits in the outbox."""
        return any(command.type == message.type for command in self.job.outbox)

    def decision(self, answer: Answer = Answer.applied) -> Decision:
        """What to return. A job that is as before is not written."""
        differs = self.job is not self.before
        unsent = {command.n for command in self.job.outbox}
        commands = tuple(command for command in self.commands if command.n in unsent)
        if not differs and answer is Answer.applied and not self.effects:
            answer = Answer.unchanged
        return Decision(self.job, differs, commands, tuple(self.effects), answer)
