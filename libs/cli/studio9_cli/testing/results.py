"""What a part of the test run came to."""

import xml.etree.ElementTree as ElementTree
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(slots=True)
class Result:
    """One part's counts. `reasons` counts skips by reason, `output` is shown when something failed; `notes` are what
    its tests say of how they were run; `durations_s` has each test's, with its fixtures."""

    part: str
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: float = 0.0
    reasons: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    durations_s: dict[str, float] = field(default_factory=dict)
    output: str = ""


def from_junit(part: str, path: Path) -> Result:
    """Counts from pytest's JUnit report. A test that both fails and errs at tear-down counts once.

    Notes are the properties of the name `note` (pytest's fixture `record_testsuite_property`).
    """
    result = Result(part)
    root = ElementTree.parse(path).getroot()
    result.notes = [one.get("value", "") for one in root.iterfind(".//testsuite/properties/property[@name='note']")]
    names: dict[str, str] = {}
    for case in root.iter("testcase"):
        name = f"{case.get('classname', '')}::{case.get('name', '')}".removeprefix("::")
        result.durations_s[name] = result.durations_s.get(name, 0.0) + float(case.get("time", 0))
        skip = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None:
            names[name] = "failed"
        elif skip is not None and skip.get("type") != "pytest.xfail":
            names.setdefault(name, "skipped")
            result.reasons[skip.get("message") or "no reason given"] += 1
        else:
            names.setdefault(name, "passed")
    for name, verdict in names.items():
        setattr(result, verdict, getattr(result, verdict) + 1)
        if verdict == "failed":
            result.failures.append(name)
    return result
