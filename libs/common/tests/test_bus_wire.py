"""What is written for RabbitMQ without the library is what the library writes."""

import pamqp.frame
import pytest
from pamqp.header import ContentHeader

from studio9_common.bus.rabbitmq.wire import Properties


@pytest.mark.parametrize("persistent", [True, False])
@pytest.mark.parametrize("id", ["a", "é" * 100, "x" * 255])
def test_a_plain_header_is_the_librarys(id: str, persistent: bool) -> None:
    plain = Properties(id, {}, persistent, None)
    theirs = ContentHeader(properties=plain.in_full(), body_size=70_000)
    assert plain.frame(7, 70_000) == pamqp.frame.marshal(theirs, 7)


def test_headers_and_an_end_are_told() -> None:
    _, channel, header = pamqp.frame.unmarshal(Properties("m", {"a": "ü"}, True, 1.5).frame(3, 12))
    assert (channel, header.body_size) == (3, 12)
    told = header.properties
    assert (told.message_id, told.headers, told.expiration, told.delivery_mode) == ("m", {"a": "ü"}, "1500", 2)
