"""A step is the same JSON in Salsa's form, in a task's parameters and in its result."""

from typing import Any

import pytest
from pydantic import ValidationError

from studio9_task.augmentations import Applied, AugmentParameters, augmented_count, images_per_input, share
from studio9_task.parameters import TrainParameters

FORM: list[dict[str, Any]] = [
    {"augmentationType": "ROTATION", "angles": [45, 90], "resize": True, "bloatFactor": 1},
    {
        "augmentationType": "CROPPING", "cropAreaFractions": [0.25], "cropsPerImage": 1, "resize": False,
        "bloatFactor": 2,
    },
    {
        "augmentationType": "OCCLUSION", "occAreaFractions": [0.05, 0.1], "mode": "ZERO", "isSARAlbum": False,
        "targetWindowSize": 32, "bloatFactor": 5,
    },
    {"augmentationType": "MIRRORING", "flipAxes": [0, 1, 2], "bloatFactor": 2},
    {"augmentationType": "PHOTO_DISTORT", "alphaMin": 0.5, "alphaMax": 1.5, "deltaMax": 18, "bloatFactor": 1},
]  # fmt: skip


def test_the_forms_steps_come_back_as_they_were() -> None:
    parameters = AugmentParameters.model_validate({"augmentations": FORM, "bloat_factor": 2})
    assert [step.model_dump(mode="json") for step in parameters.augmentations] == FORM
    assert [images_per_input(step) for step in parameters.augmentations] == [1, 1, 2, 2, 1]
    # ten pictures twice over through five steps: four each
    assert share(10, 2, 5) == [(0, 4), (4, 4), (8, 4), (12, 4), (16, 4)]
    assert augmented_count(10, 2, parameters.augmentations) == 4 * (1 + 1 + 2 + 2 + 1)
    assert share(1, 9, 3) == [(0, 1), (1, 1), (2, 1)]
    assert share(0, 9, 3) == [(0, 0), (0, 0), (0, 0)]
    assert share(5, 1, 0) == []


def test_a_training_takes_them_too() -> None:
    given = {"architecture": "A", "head": "H", "augmentation": {"augmentations": FORM, "bloat_factor": 3}}
    parameters = TrainParameters.model_validate(given)
    assert parameters.augmentation is not None
    assert parameters.augmentation.model_dump(mode="json")["augmentations"] == FORM
    assert TrainParameters.model_validate_json(parameters.model_dump_json()) == parameters
    assert TrainParameters.model_validate(given | {"augmentation": None}).augmentation is None


def test_what_was_applied_has_only_its_own_fields() -> None:
    applied = Applied(augmentation_type="ROTATION", angle=90, resize=True)
    assert applied.model_dump(mode="json", exclude_none=True) == {
        "augmentationType": "ROTATION", "angle": 90.0, "resize": True, "extraParams": {}
    }  # fmt: skip


@pytest.mark.parametrize("wrong", [{"angles": [360]}, {"angles": []}, {"angles": [90], "bloatFactor": 0}])
def test_values_out_of_range_name_their_field(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="angles" if "bloatFactor" not in wrong else "bloatFactor"):
        AugmentParameters.model_validate({"augmentations": [{"augmentationType": "ROTATION"} | wrong]})
