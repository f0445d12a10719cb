"""Findings about given values: which field, which value, what to do."""

from pydantic import ValidationError

from studio9_task.model import Contract


class Problem(Contract):
    """One thing that is wrong with a given value, and how to right it."""

    field: str
    value: str
    fix: str

    def __str__(self) -> str:
        return f"{self.field}: {self.value} can't be used: {self.fix}"


def shown(value: object, limit: int = 80) -> str:
    """A value as a message may show it: its repr, cut to `limit` characters."""
    text = repr(value)
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def describe(error: ValidationError, limit: int = 5) -> str:
    """A validation error as one sentence that names fields, values and what was expected."""
    found = error.errors(include_url=False)
    parts = [
        f"{'.'.join(str(part) for part in one['loc']) or 'the whole'} = {shown(one['input'])}: {one['msg']}"
        for one in found[:limit]
    ]
    if len(found) > limit:
        parts.append(f"and {len(found) - limit} more")
    return "; ".join(parts)
