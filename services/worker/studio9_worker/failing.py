"""What ends an attempt before its task begins."""

from studio9_common.contracts.reasons import Reason


class StagingFailed(Exception):
    """The inputs could not be brought here; the reason says whose fault that is."""

    def __init__(self, why: Reason) -> None:
        self.reason = why
        super().__init__(why.message)
