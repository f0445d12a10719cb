"""OpenVINO, imported so that it asks no network for anything."""

import sys
from types import ModuleType
from typing import Any, cast


def openvino() -> ModuleType:
    """The package. The part that posts its use is left out before it is imported; the package has a stand-in for it."""
    cast(dict[str, Any], sys.modules).setdefault("openvino_telemetry", None)
    import openvino as package

    return package
