"""The twelve augmentations with their parameters, and how many pictures come of them. Kind `augment`.

Fields are named as Salsa's form sends them (`augmentationType`, `bloatFactor`, …), so that a step is the same JSON in
a request of the form, in a task's parameters and in its result.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, Self

from pydantic import AliasGenerator, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from studio9_task.model import Contract
from studio9_task.pictures import PictureRecord

Fraction = Annotated[float, Field(ge=0, le=1)]


class _Form(Contract):
    model_config = ConfigDict(alias_generator=AliasGenerator(alias=to_camel))


class _Step(_Form):
    bloat_factor: int = Field(default=1, ge=1, description="most pictures that one picture becomes")

    @property
    def values(self) -> tuple[float, ...]:
        """What its one list offers; one value without a meaning where it has no list."""
        return (0.0,)


class Rotation(_Step):
    """Turned about the centre, counter-clockwise, by degrees. `resize`: within the picture's own frame."""

    augmentation_type: Literal["ROTATION"] = "ROTATION"
    angles: Annotated[tuple[Annotated[float, Field(gt=0, lt=360)], ...], Field(min_length=1, max_length=100)]
    resize: bool = True

    @property
    def values(self) -> tuple[float, ...]:
        """The angles."""
        return self.angles


class Shearing(_Step):
    """Slanted to the side by degrees. `resize`: within the picture's own frame."""

    augmentation_type: Literal["SHEARING"] = "SHEARING"
    angles: Annotated[tuple[Annotated[float, Field(gt=0, le=60)], ...], Field(min_length=1, max_length=100)]
    resize: bool = True

    @property
    def values(self) -> tuple[float, ...]:
        """The angles."""
        return self.angles


class Cropping(_Step):
    """A part of this area at a random place. `resize`: enlarged to the picture's own size.

    Each fraction may be taken `crops_per_image` times, at different places.
    """

    augmentation_type: Literal["CROPPING"] = "CROPPING"
    crop_area_fractions: Annotated[tuple[Annotated[float, Field(gt=0, le=1)], ...], Field(min_length=1, max_length=100)]
    crops_per_image: int = Field(default=1, ge=1, le=100)
    resize: bool = False

    @property
    def values(self) -> tuple[float, ...]:
        """The fractions."""
        return self.crop_area_fractions


class Blurring(_Step):
    """Blurred by a bell of this standard deviation, in pixels."""

    augmentation_type: Literal["BLURRING"] = "BLURRING"
    sigmas: Annotated[tuple[Annotated[float, Field(gt=0, le=200)], ...], Field(min_length=1, max_length=100)]

    @property
    def values(self) -> tuple[float, ...]:
        """The standard deviations."""
        return self.sigmas


class Noising(_Step):
    """With normal noise of this part of the picture's own standard deviation."""

    augmentation_type: Literal["NOISING"] = "NOISING"
    noise_signal_ratios: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=1, max_length=100)]

    @property
    def values(self) -> tuple[float, ...]:
        """The ratios."""
        return self.noise_signal_ratios


class ZoomIn(_Step):
    """Enlarged. `resize`: its middle, in the picture's own size; else all of it, in a larger one."""

    augmentation_type: Literal["ZOOM_IN"] = "ZOOM_IN"
    ratios: Annotated[tuple[Annotated[float, Field(ge=1, le=100)], ...], Field(min_length=1, max_length=100)]
    resize: bool = True

    @property
    def values(self) -> tuple[float, ...]:
        """The ratios."""
        return self.ratios


class ZoomOut(_Step):
    """Made smaller. `resize`: in the middle of the picture's own size; else in a smaller one."""

    augmentation_type: Literal["ZOOM_OUT"] = "ZOOM_OUT"
    ratios: Annotated[tuple[Annotated[float, Field(gt=0, le=1)], ...], Field(min_length=1, max_length=100)]
    resize: bool = True

    @property
    def values(self) -> tuple[float, ...]:
        """The ratios."""
        return self.ratios


class Occlusion(_Step):
    """A part of each box covered, or of a window in the middle where there is no box.

    Covered with black (ZERO) or with what lies around (BACKGROUND): its middle colour, or for radar pictures
    (`is_sar_album`) single pixels of it, so that the speckle stays.
    """

    augmentation_type: Literal["OCCLUSION"] = "OCCLUSION"
    occ_area_fractions: Annotated[tuple[Annotated[float, Field(ge=0, lt=1)], ...], Field(min_length=1, max_length=100)]
    mode: Literal["ZERO", "BACKGROUND"] = "ZERO"
    is_sar_album: bool = Field(default=False, alias="isSARAlbum")
    target_window_size: int = Field(default=32, ge=10, description="pixels of the window's side")

    @property
    def values(self) -> tuple[float, ...]:
        """The fractions."""
        return self.occ_area_fractions


class SaltPepper(_Step):
    """A part of the pixels made black (with this probability) or white."""

    augmentation_type: Literal["SALT_PEPPER"] = "SALT_PEPPER"
    knockout_fractions: Annotated[tuple[Fraction, ...], Field(min_length=1, max_length=100)]
    pepper_probability: Fraction = 0.5

    @property
    def values(self) -> tuple[float, ...]:
        """The fractions."""
        return self.knockout_fractions


class Mirroring(_Step):
    """Mirrored: 0 left and right, 1 top and bottom, 2 both."""

    augmentation_type: Literal["MIRRORING"] = "MIRRORING"
    flip_axes: Annotated[tuple[Literal[0, 1, 2], ...], Field(min_length=1, max_length=100)]

    @property
    def values(self) -> tuple[float, ...]:
        """The axes."""
        return self.flip_axes


class Translation(_Step):
    """Shifted by this part of width and height, each to a random side. `resize`: within the picture's own frame.

    What becomes free is black (CONSTANT) or mirrored from the picture (REFLECT; what is mirrored has no labels).
    """

    augmentation_type: Literal["TRANSLATION"] = "TRANSLATION"
    translate_fractions: Annotated[
        tuple[Annotated[float, Field(ge=0, lt=0.5)], ...], Field(min_length=1, max_length=100)
    ]
    mode: Literal["REFLECT", "CONSTANT"] = "CONSTANT"
    resize: bool = False

    @property
    def values(self) -> tuple[float, ...]:
        """The fractions."""
        return self.translate_fractions


class PhotoDistort(_Step):
    """Contrast and saturation times a random factor between the two, hue turned by at most `delta_max` degrees."""

    augmentation_type: Literal["PHOTO_DISTORT"] = "PHOTO_DISTORT"
    alpha_min: float = Field(default=0.5, gt=0)
    alpha_max: float = Field(default=1.5, gt=0)
    delta_max: float = Field(default=18, gt=-360, lt=360)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.alpha_max <= self.alpha_min:
            raise ValueError(f"alphaMax = {self.alpha_max:g}: give more than alphaMin, {self.alpha_min:g}")
        return self


Step = Annotated[
    Rotation | Shearing | Cropping | Blurring | Noising | ZoomIn | ZoomOut | Occlusion | SaltPepper | Mirroring
    | Translation | PhotoDistort,
    Field(discriminator="augmentation_type"),
]  # fmt: skip


class Applied(_Form):
    """What one operation did to a picture, with the names that Salsa shows; those that don't concern it are none."""

    augmentation_type: str
    angle: float | None = None
    resize: bool | None = None
    crop_area_fraction: float | None = None
    sigma: float | None = None
    noise_signal_ratio: float | None = None
    ratio: float | None = None
    occ_area_fraction: float | None = None
    mode: str | None = None
    target_window_size: int | None = None
    knockout_fraction: float | None = None
    pepper_probability: float | None = None
    flip_axis: int | None = None
    translate_fraction: float | None = None
    alpha_contrast: float | None = None
    alpha_saturation: float | None = None
    delta_hue: float | None = None
    extra_params: Mapping[str, float] = Field(
        default_factory=dict, description="what was drawn at random, in pixels of the picture before"
    )


class AugmentParameters(Contract):
    """Kind `augment`. Input: `pictures`. Outputs: `manifest.jsonl` of AugmentedRecords, new files in `pictures/`."""

    augmentations: tuple[Step, ...] = Field(min_length=1, max_length=100)
    bloat_factor: int = Field(default=1, ge=1)
    include_original_pictures: bool = True


class AugmentedRecord(PictureRecord):
    """One line of the manifest that comes out. An original has no `original_id`; it is as it was.

    A new picture's file is `pictures/<sha256>` in the outputs; its group is its original's, so that both fall on one
    side of any split.
    """

    original_id: str | None = None
    applied: tuple[Applied, ...] = Field(default=(), description="by this task")
    boxes_dropped: int = Field(default=0, ge=0, description="shapes of which less than a fifth was left")


def images_per_input(step: _Step) -> int:
    """How many pictures one picture becomes in this step."""
    return min(len(step.values), step.bloat_factor)


def share(pictures: int, bloat_factor: int, steps: int) -> list[tuple[int, int]]:
    """Which pictures each step gets: (first, count), counted through the list again and again.

    `bloat_factor` counts up to the number of steps. The last step takes what is left over.
    """
    if steps < 1:
        return []
    whole = pictures * min(bloat_factor, steps)
    each = whole // steps
    return [(number * each, each if number < steps - 1 else whole - number * each) for number in range(steps)]


def augmented_count(pictures: int, bloat_factor: int, steps: Sequence[_Step]) -> int:
    """How many new pictures come of this many; divided by `pictures` it is the form's effective bloat."""
    shares = share(pictures, bloat_factor, len(steps))
    return sum(count * images_per_input(step) for step, (_, count) in zip(steps, shares, strict=True))
