"""What a request aims at: the row that its path names. What the caller knows of it (`If-Match`) is compared with what
it is, in the transaction that changes it; what it is after that is the answer's `ETag`."""

from dataclasses import dataclass
from typing import Any

from studio9_baile.models.base import Scoped
from studio9_common.errors import PreconditionFailed


class ChangedMeanwhile(PreconditionFailed):
    """Somebody else has changed this since you read it; read it again, and repeat your change if it still fits."""

    def __init__(self, message: str, *, known: str, current: str | None, fix: str) -> None:
        super().__init__(message, field="If-Match", value=known, fix=fix)
        self.current = current

    def problem(self) -> dict[str, Any]:
        """The ETag that it has now besides, as `current`."""
        return super().problem() | ({} if self.current is None else {"current": self.current})


@dataclass(slots=True)
class Target:
    """The id in the path of one request, and what its caller knows of what has it: tags, of which one must fit (None:
    it may be anything). `row` is what was found, `met` whether the tag has fitted."""

    identifier: str
    known: frozenset[str] | None = None
    row: Scoped | None = None
    met: bool = False

    @property
    def tag(self) -> str | None:
        """The ETag of what was found, as it is now."""
        return None if self.row is None or self.row.tag is None else quoted(self.row.tag)


def quoted(tag: str) -> str:
    """A tag as headers have it."""
    return f'"{tag}"'


class Sight:
    """One transaction's look at a request's target. `target` None: the request has none."""

    def __init__(self, target: Target | None) -> None:
        self._target = target
        self._was: str | None = None
        self._changed: list[str] = []

    def locks(self, identifier: str) -> bool:
        """Whether a row must be kept from others while it is compared."""
        target = self._target
        return target is not None and target.known is not None and target.identifier == identifier

    def see(self, row: Scoped) -> None:
        """A row was read, before this transaction has changed it or after."""
        target = self._target
        if target is None or target.identifier != row.id:
            return
        target.row = row
        if self._was is None and row.tag is not None:
            self._was = row.tag
            self._changed = row.changed_since(min(target.known)) if target.known else []

    def judge(self) -> None:
        """To be asked at the end of a transaction that writes: whoever may not change it has been told so by then.
        One that has not seen the target is refused too: what it has written could not be taken back once another one
        finds that the tag does not fit. Raises ChangedMeanwhile; nothing is to be written then."""
        target = self._target
        if target is None or target.known is None or target.met:
            return
        known = ", ".join(map(quoted, sorted(target.known)))
        if self._was is None:
            raise ChangedMeanwhile(
                "What this request changes has no ETag, so none can be compared",
                known=known, current=None, fix="send it without If-Match",
            )  # fmt: skip
        if self._was not in target.known:
            what = f": {', '.join(self._changed)}" if self._changed else ""
            current = quoted(self._was)
            raise ChangedMeanwhile(
                f"Somebody else has changed this since you read it{what}",
                known=known, current=current,
                fix=f"read it again, and send your change with If-Match: {current} if it still fits",
            )  # fmt: skip
        target.met = True
