"""Who may call the operators' API: other services and operators, by service token; no worker and no task."""

from typing import Annotated

from fastapi import Depends

from studio9_common.contracts.envelope import SYSTEM
from studio9_common.errors import Forbidden
from studio9_common.http.app import ServiceCaller
from studio9_common.tokens import Caller


class PlatformOnly(Forbidden):
    """This belongs to the platform as a whole; ask without an organisation."""

    code = "platform_only"


def _operator(caller: ServiceCaller) -> Caller:
    if caller.job is not None:
        raise Forbidden("a worker's token opens nothing here")
    return caller


def _platform_operator(caller: Annotated[Caller, Depends(_operator)]) -> Caller:
    if caller.organisation != SYSTEM:
        raise PlatformOnly
    return caller


Operator = Annotated[Caller, Depends(_operator)]
"""A caller for one organisation, or for all (`system`)."""
PlatformOperator = Annotated[Caller, Depends(_platform_operator)]
"""A caller for all organisations."""
