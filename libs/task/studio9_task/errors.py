"""What can go wrong with the contract itself."""


class TaskContractError(Exception):
    """The task's folder breaks the contract: see which file and field, and write it as the contract says."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (self.__doc__ or "").strip())


class RequestError(TaskContractError):
    """The request can't be used: correct the named field of request.json."""


class ManifestError(TaskContractError):
    """A manifest can't be used: correct the named line."""


class UnsafeName(TaskContractError):
    """A file name leaves its folder: use a relative path of plain names, without links."""
