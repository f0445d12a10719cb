"""Which test shows each cell of the table of frameworks and tasks, as the documentation lists them.

python libs/trainers/tests/shown.py
"""

from collections.abc import Mapping

COLUMNS = ("train", "evaluate", "predict", "export", "resume")
CONTRACT, TASKS, SHAPES = "test_trainer_contract.py", "test_tasks.py", "test_yolo_shapes.py"
EXPORT, SQUARES, CUSTOM = "test_export.py", "test_export_squares.py", "test_custom.py"
LETTERS = {"segment": "(M)", "pose": "(P)", "obb": "(turned)"}


def of_contract(case: str, export: str) -> tuple[str, ...]:
    """Those of a trainer in a loop of ours."""
    works = f"{CONTRACT}::test_what_is_saved_loads_and_works[{case}]"
    begins = f"{CONTRACT}::test_events_come_typed_and_in_order[{case}]"
    return begins, works, works, export, f"{CONTRACT}::test_killed_in_mid_epoch_it_goes_on_to_the_same_weights[{case}]"


def of_shapes(task: str) -> tuple[str, ...]:
    """Those of YOLO for a task beyond boxes."""
    learns = f"{SHAPES}::test_it_learns[{task}-{LETTERS[task]}]"
    goes_on = f"{SHAPES}::test_a_run_that_goes_on_from_an_epoch_ends_with_the_same_weights[{task}]"
    return learns, learns, goes_on, f"{EXPORT}::test_what_finds_shapes_is_accepted_too[{task}]", goes_on


def of_custom(case: str) -> tuple[str, ...]:
    """Those of a trainer of one's own."""
    judged = f"{CUSTOM}::test_it_goes_on_to_the_same_weights_and_is_judged[{case}]"
    return judged, judged, judged, "", judged


def of_squares(case: str) -> str:
    """The exact exports of a classifier."""
    return f"{SQUARES}::test_classifiers_are_accepted_in_every_exact_format[{case}]"


def of_queries(case: str) -> str:
    """The exact exports of a detector with queries."""
    return f"{SQUARES}::test_detectors_with_queries_are_accepted_in_every_exact_format[{case}]"


def of_weights(case: str) -> str:
    """The exports of what has weights alone."""
    return f"{SQUARES}::test_what_cannot_be_written_is_refused_and_told_who_can[{case}]"


SHOWN: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("custom", "classify"): of_custom("classify-mine10:Mine"),
    ("custom", "detect"): of_custom("detect-mine11:Boxes"),
    ("rfdetr", "detect"): of_contract("rfdetr", of_queries("of_rfdetr")),
    ("rtdetr", "detect"): of_contract("rtdetr", of_queries("of_rtdetr")),
    ("transfer", "classify"): of_contract("classifier", of_squares("of_timm")),
    ("transfer", "detect"): of_contract("detector", of_weights("detect-of_torchvision")),
    ("transfer", "reconstruct"): of_contract("decoder", of_weights("reconstruct-of_decoder")),
    ("yolo", "detect"): (
        f"{TASKS}::test_a_trainings_result",
        f"{TASKS}::test_evaluating_gives_what_training_gave",
        f"{TASKS}::test_predicting_passes_over_what_is_no_picture",
        f"{EXPORT}::test_every_exact_format_is_accepted_and_told_of",
        f"{TASKS}::test_a_killed_training_goes_on_to_the_same_weights",
    ),
    ("yolo", "segment"): of_shapes("segment"),
    ("yolo", "pose"): of_shapes("pose"),
    ("yolo", "obb"): of_shapes("obb"),
    ("yolo", "classify"): of_contract("yolo classifier", of_squares("of_yolo")),
}
"""Names as `pytest` takes them in `libs/trainers/tests`; none where there is nothing to show."""


def listed() -> str:
    """As Markdown: each row's tests, those that show several cells once."""
    lines = ["| framework | task | shown | by |", "| --- | --- | --- | --- |"]
    for (framework, task), tests in SHOWN.items():
        for test in dict.fromkeys(one for one in tests if one):
            columns = ", ".join(column for column, one in zip(COLUMNS, tests, strict=True) if one == test)
            lines.append(f"| {framework} | {task} | {columns} | `{test}` |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(listed(), end="")
