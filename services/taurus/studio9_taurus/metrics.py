"""Taurus' metrics: what became of the messages about new pictures."""

from studio9_common.metrics import Metrics
from studio9_taurus.intake import Intake


def measure_intake(metrics: Metrics, intake: Intake) -> None:
    """Messages by what became of them, and those in hand."""
    counters = intake.counters
    metrics.read_counter(
        "studio9_stream_messages_total",
        "Messages about new pictures: received, deleted once their effect was durable, set aside, unwanted.",
        ("outcome",),
        lambda: [
            (("received",), counters.received),
            (("deleted",), counters.deleted),
            (("set_aside",), counters.set_aside),
            (("unwanted",), counters.unwanted),
        ],
    )
    metrics.read_gauge(
        "studio9_stream_messages_in_hand", "Messages received and not deleted yet.", (), lambda: [((), intake.waiting)]
    )
