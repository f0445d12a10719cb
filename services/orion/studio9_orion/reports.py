"""What workers say. Each speaks for itself alone: the last word of the routing key, which the broker checks against the
user of a machine that joined, is the worker that the message names.
"""

from typing import TypeVar

from studio9_common.bus.port import BadMessage, Delivery
from studio9_common.contracts.envelope import decode
from studio9_common.contracts.messages import WorkerReport
from studio9_common.errors import BadInput
from studio9_common.logs import logger

Report = TypeVar("Report", bound=WorkerReport)


class NotItsOwn(BadMessage):
    """A worker has spoken in another's name, which is never believed; look at that machine, and remove it if nobody can
    say why (`studio9 workers remove`)."""

    code = "not_its_own"


def report_of(delivery: Delivery, kind: type[Report]) -> Report:
    """What a delivery says. Raises BadEnvelope, BadInput for another kind of message, NotItsOwn."""
    data = decode(delivery.body).data
    if not isinstance(data, kind):
        raise BadInput(f"{data.type} does not belong into this queue", field="type", value=data.type)
    # Without a name: a worker of an earlier version, on the platform's own broker user, which no joined machine has.
    if delivery.routing_key not in {data.route(), data.routing_key}:
        said = delivery.routing_key.removeprefix(f"{data.routing_key}.")
        logger("orion").error("not_its_own", worker=said, named=data.worker, type=data.type)
        raise NotItsOwn(f"{said} sent a {data.type} in the name of {data.worker}", field="worker", value=data.worker)
    return data
