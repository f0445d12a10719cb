"""Parameters are judged with a message that names field, value and fix."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from studio9_task.catalogue import (
    Architecture,
    BooleanParameter,
    Catalogue,
    FloatParameter,
    Head,
    IntParameter,
    StringParameter,
    TaskKind,
    WhenRange,
    WhenValue,
    WhenValues,
    union,
)
from studio9_task.validate import validate_pair, validate_parameters, with_defaults

DEFINITIONS = (
    IntParameter(name="epochs", defaults=(12,), min=1, max=1000),
    FloatParameter(name="rate", defaults=(1e-4,), min=0, max=1),
    StringParameter(name="kernel", options=("poly", "linear"), defaults=("poly",)),
    IntParameter(name="degree", defaults=(3,), min=1, conditions={"kernel": WhenValues(values=("poly",))}),
    BooleanParameter(name="frozen", defaults=(False,)),
    FloatParameter(name="momentum", conditions={"frozen": WhenValue(value=True)}),
    IntParameter(name="late", conditions={"epochs": WhenRange(min=100)}),
    IntParameter(name="sizes", multiple=True, options=(32, 64), defaults=(32, 64)),
)
ANYTHING = st.integers() | st.text(max_size=5) | st.booleans() | st.none() | st.lists(st.integers(), max_size=2)


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"epochs": 1, "rate": 1, "kernel": "linear", "sizes": [32]},
        {"epochs": 5.0, "degree": 2, "rate": None},
        {"frozen": True, "momentum": 0.9},
        {"epochs": 100, "late": 1},
    ],
)
def test_good_values(values: dict[str, Any]) -> None:
    assert validate_parameters(DEFINITIONS, values) == []


@pytest.mark.parametrize(
    ("values", "field", "fix"),
    [
        ({"epochs": 0}, "epochs", "from 1 to 1000"),
        ({"epochs": 1.5}, "epochs", "whole number"),
        ({"epochs": True}, "epochs", "whole number"),
        ({"rate": "x"}, "rate", "a number"),
        ({"kernel": "rbf"}, "kernel", "poly, linear"),
        ({"kernel": "linear", "degree": 2}, "degree", "unless kernel is one of poly"),
        ({"momentum": 0.9}, "momentum", "unless frozen is true"),
        ({"late": 1}, "late", "unless epochs is at least 100"),
        ({"frozen": 1}, "frozen", "true or false"),
        ({"sizes": 32}, "sizes", "a list"),
        ({"sizes": [32, 33]}, "sizes", "32, 64"),
        ({"epoch": 3}, "epoch", "no such parameter"),
    ],
)
def test_bad_values_are_named(values: dict[str, Any], field: str, fix: str) -> None:
    (problem,) = validate_parameters(DEFINITIONS, values)
    assert problem.field == field
    assert fix in problem.fix
    assert repr(values[field]) == problem.value


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.fixed_dictionaries({}, optional=dict.fromkeys((one.name for one in DEFINITIONS), ANYTHING)))
def test_any_values_are_judged(values: dict[str, Any]) -> None:
    for problem in validate_parameters(DEFINITIONS, values, prefix="params."):
        assert problem.field.startswith("params.")
        assert problem.fix


def test_defaults_fill_what_is_absent() -> None:
    filled = with_defaults(DEFINITIONS, {"epochs": 3, "rate": None})
    assert (filled["epochs"], filled["rate"], filled["sizes"]) == (3, 1e-4, [32, 64])
    assert "momentum" not in filled


def a_catalogue(name: str) -> Catalogue:
    common = {"framework": "f", "package": "p", "module": "m", "class_name": "C"}
    return Catalogue(
        version=name,
        architectures=(
            Architecture(id=name, name=name, **common),
            Architecture(id="SHARED", name=name, **common),
        ),
        heads=(Head(id=f"{name}_HEAD", name=name, consumer="detector", architectures=(name, "SHARED"), **common),),
        tasks=(TaskKind(kind="train", framework="f"),),
    )


def test_the_union_and_the_pairs() -> None:
    both = union([a_catalogue("A"), a_catalogue("B")])
    assert [one.id for one in both.architectures] == ["A", "B", "SHARED"]
    assert both.architectures[2].name == "A"
    assert len(both.tasks) == 1
    assert validate_pair(both, "A", "A_HEAD") == []
    (problem,) = validate_pair(both, "A", "B_HEAD")
    assert "use A_HEAD" in problem.fix
    (problem,) = validate_pair(both, "C", "A_HEAD")
    assert (problem.field, "A, B, SHARED" in problem.fix) == ("architecture", True)
    assert Catalogue.model_validate_json(both.model_dump_json()) == both


def test_what_several_heads_share_is_printed_once_and_read_back() -> None:
    one = a_catalogue("A")
    alone = IntParameter(name="alone", min=0)
    heads = [one.heads[0].model_copy(update={"id": name, "parameters": DEFINITIONS}) for name in ("H1", "H2")]
    heads[1] = heads[1].model_copy(update={"parameters": (*DEFINITIONS[:2], alone, *DEFINITIONS[2:])})
    task = one.tasks[0].model_copy(update={"parameters": DEFINITIONS[:1]})
    full = one.model_copy(update={"heads": tuple(heads), "tasks": (task,)})
    printed = full.printed()
    assert printed.count('"name":"epochs"') == printed.count('"name":"alone"') == 1
    assert Catalogue.model_validate_json(printed) == full
    body = json.loads(printed)
    assert [len(body["shared"]), body["tasks"][0]["parameters"]] == [len(DEFINITIONS), [0]]
    body["shared"][0]["description"] = "x" * 50_000
    body["heads"][0]["parameters"] = [0] * 90
    with pytest.raises(ValidationError, match="parameters of H1: with what shared has for them, more than 4194304"):
        Catalogue.model_validate(body)
    body = json.loads(printed)
    body["heads"][0]["parameters"][3] = 99
    with pytest.raises(ValidationError, match="parameters of H1: 99 is no place in shared, which has 8"):
        Catalogue.model_validate(body)
