"""Labels and their numbers. A number once given stays: it is what a model's outputs mean."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from studio9_trainers.errors import BadInput

SHOWN = 5
"""Classes that a message names."""


class UnknownClass(ValueError):
    """A label's number is not among the classes: add it to them, or give one that is there."""

    def __init__(self, number: object, known: Mapping[int, str], where: str) -> None:
        super().__init__(f"class {number} is not among the {where}")
        several = [f"{one} ({known[one]})" for one in sorted(known)]
        more = ", …" if len(several) > SHOWN else ""
        self.fix = f"add it there, or give one of {', '.join(several[:SHOWN]) or 'none yet'}{more}"


@dataclass(frozen=True)
class ClassMap:
    """Label by number. Numbers may have gaps, labels are unique."""

    labels: Mapping[int, str]

    def __post_init__(self) -> None:
        if len(set(self.labels.values())) != len(self.labels):
            twice = sorted({one for one in self.labels.values() if list(self.labels.values()).count(one) > 1})
            raise BadInput(f"Classes: {', '.join(twice)} occurs more than once: give each label one number.")
        if any(number < 0 for number in self.labels):
            raise BadInput("Classes: a number is negative: count from 0.")

    @classmethod
    def of(cls, labels: Iterable[str]) -> "ClassMap":
        """Labels sorted and numbered from 0."""
        return cls(dict(enumerate(sorted(set(labels)))))

    @classmethod
    def parse(cls, text: str) -> "ClassMap":
        """From `dumps`' text. Raises BadInput."""
        try:
            return cls({int(number): str(label) for number, label in json.loads(text).items()})
        except (ValueError, AttributeError):
            raise BadInput('Classes: the text is no map of numbers to labels: write {"0": "ship"}.') from None

    def dumps(self) -> str:
        """As JSON, by number."""
        return json.dumps({str(number): self.labels[number] for number in sorted(self.labels)}, ensure_ascii=False)

    @cached_property
    def numbers(self) -> Mapping[str, int]:
        """Number by label."""
        return {label: number for number, label in self.labels.items()}

    @property
    def names(self) -> tuple[str, ...]:
        """The labels by ascending number."""
        return tuple(self.labels[number] for number in sorted(self.labels))

    def with_labels(self, labels: Iterable[str]) -> "ClassMap":
        """The same with further labels, which get numbers after the highest; none that exists changes."""
        new = sorted(set(labels) - set(self.labels.values()))
        first = max(self.labels, default=-1) + 1
        return ClassMap({**self.labels, **dict(enumerate(new, first))})

    def check_fits(self, model: "ClassMap") -> None:
        """Raise BadInput, naming them, where a label is unknown to a model or has another number there."""
        unknown = sorted(set(self.numbers) - set(model.numbers))
        moved = sorted(
            label for label in self.numbers if model.numbers.get(label, self.numbers[label]) != self.numbers[label]
        )
        if unknown:
            raise BadInput(f"Classes: the model does not know {', '.join(unknown)}: train it with them, or drop them.")
        if moved:
            raise BadInput(f"Classes: {', '.join(moved)} has another number in the model: use the model's classes.")
