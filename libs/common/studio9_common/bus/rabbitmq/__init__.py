"""The bus on RabbitMQ: a topic exchange, quorum queues, confirms; what is on the broker is in `topology`."""

from studio9_common.bus.rabbitmq.bus import RabbitBus, Topology
from studio9_common.bus.rabbitmq.failures import BusForbidden

__all__ = ["BusForbidden", "RabbitBus", "Topology"]
