"""What ends an attempt before its task begins."""

from studio9_common.contracts.reasons import Reason, reason
from studio9_common.errors import BadInput


class StagingFailed(Exception):
    """The inputs could not be brought here; the reason says whose fault that is."""

    def __init__(self, why: Reason) -> None:
        self.reason = why
        super().__init__(why.message)


def unusable(error: BadInput, where: str = "") -> StagingFailed:
    """For what the request says wrongly: field, message and fix in one sentence."""
    field = ", ".join(filter(None, (where, error.field)))
    return StagingFailed(reason("bad_input", f"{field}: {error.message}" + (f": {error.fix}." if error.fix else ".")))
