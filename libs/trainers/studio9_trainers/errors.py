"""How a task fails, and what it says then."""

from collections.abc import Sequence


class TaskError(Exception):
    """The task failed: see its log."""

    code = "system_error"

    def __init__(self, message: str | None = None, code: str | None = None) -> None:
        super().__init__(message or (self.__doc__ or "").strip())
        self.code = code or self.code


class UserError(TaskError):
    """What was given can't be used: correct it as the message says and start again."""

    code = "user_error"


class BadInput(UserError):
    """The pictures or labels can't be used: correct them as the message says and start again."""

    code = "bad_input"

    @classmethod
    def of(cls, findings: Sequence[str], limit: int = 5) -> "BadInput":
        """One error for several findings; the first few are named."""
        more = f" And {len(findings) - limit} more." if len(findings) > limit else ""
        return cls(" ".join(findings[:limit]) + more)


class BadPicture(BadInput):
    """A picture can't be decoded: replace it by a whole JPEG, PNG, WebP, BMP, TIFF or GIF file."""


class Diverged(UserError):
    """The training diverged (its loss is no number any more): use a lower learning rate."""

    code = "diverged"


class BadModel(UserError):
    """The model can't be used here: choose one that this framework trained for this task."""

    code = "bad_model"


class BadCheckpoint(UserError):
    """The checkpoint can't be used: start the training without it."""

    code = "bad_checkpoint"


class Untrusted(UserError):
    """Code of your own runs only in a container: start a worker with the container runner."""

    code = "untrusted"


class Unsupported(UserError):
    """No trainer here can do that: use a framework, architecture and head that the catalogue offers."""

    code = "unsupported"


class CantExport(Unsupported):
    """The model can't be written so: use a format that the catalogue offers for its framework and task."""

    code = "cant_export"


class DriftedApart(TaskError):
    """The processes of the training hold different weights after one epoch: go on from the last checkpoint, and if it
    happens again, with one process."""


class LostTouch(TaskError):
    """The processes of the training lost touch with each other: see each one's log, and go on from the last
    checkpoint."""

    code = "lost_touch"


class Stopped(Exception):
    """The task was told to stop; the last checkpoint is where a later attempt goes on."""
