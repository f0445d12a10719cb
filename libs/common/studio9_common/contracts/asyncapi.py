"""The AsyncAPI 3.0 document of the bus, generated from the message classes.

`python -m studio9_common.contracts.asyncapi` prints it.
"""

import json
import sys
from typing import Any

from pydantic.json_schema import models_json_schema

from studio9_common.contracts.messages import MESSAGES, Message, WorkerCommand, WorkerReport

_DEFINITIONS = "#/components/schemas/{model}"


def _envelope(kind: type[Message]) -> dict[str, Any]:
    """The CloudEvents object around one kind of data."""
    text = {"type": "string"}
    return {
        "type": "object",
        "required": ["specversion", "id", "type", "source", "time", "organisation", "data"],
        "properties": {
            "specversion": {"const": "1.0"},
            "id": text,
            "type": {"const": kind.type},
            "source": {"type": "string", "format": "uri-reference"},
            "subject": text,
            "time": {"type": "string", "format": "date-time"},
            "datacontenttype": {"const": "application/json"},
            "organisation": text,
            "traceparent": text,
            "data": {"$ref": _DEFINITIONS.format(model=kind.__name__)},
        },
    }


def document() -> dict[str, Any]:
    """The whole document: one channel per routing key, one message each."""
    kinds = list(MESSAGES.values())
    _, schemas = models_json_schema([(kind, "serialization") for kind in kinds], ref_template=_DEFINITIONS)
    channels: dict[str, Any] = {}
    operations: dict[str, Any] = {}
    messages: dict[str, Any] = {}
    for kind in kinds:
        address = kind.routing_key + (".{worker}" if issubclass(kind, WorkerCommand | WorkerReport) else "")
        messages[kind.__name__] = {
            "name": kind.type,
            "summary": " ".join((kind.__doc__ or "").split()),
            "contentType": "application/cloudevents+json",
            "payload": _envelope(kind),
        }
        channels[kind.routing_key] = {
            "address": address,
            "messages": {kind.__name__: {"$ref": f"#/components/messages/{kind.__name__}"}},
        }
        if "{worker}" in address:
            channels[kind.routing_key]["parameters"] = {"worker": {"description": "the worker's id"}}
        operations[f"on_{kind.__name__}"] = {
            "action": "receive",
            "channel": {"$ref": f"#/channels/{kind.routing_key}"},
        }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Studio9 bus",
            "version": "1",
            "description": "Messages between the services: CloudEvents 1.0 in structured JSON on one topic exchange.",
        },
        "channels": channels,
        "operations": operations,
        "components": {"messages": messages, "schemas": schemas["$defs"]},
    }


if __name__ == "__main__":
    json.dump(document(), sys.stdout, indent=1, sort_keys=True)
    sys.stdout.write("\n")
