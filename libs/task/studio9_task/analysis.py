"""What a set of predictions or labels holds: counts, sizes, density, coverage."""

from collections.abc import Mapping

from pydantic import Field

from studio9_task.model import Contract, Label, Name, Versioned
from studio9_task.results import Count, Fraction


class AnalyseParameters(Contract):
    """Kind `analyse`. Input: `pictures`: its boxes, or those of `predictions.jsonl` beside its manifest."""

    projects: Mapping[str, str] = Field(default_factory=dict, description="picture id: the project it belongs to")


class Spread(Contract):
    """How values are spread; all 0 where there are none."""

    count: Count
    mean: float = 0
    smallest: float = 0
    lower_quarter: float = 0
    middle: float = 0
    upper_quarter: float = 0
    largest: float = 0


class Histogram(Contract):
    """`counts[i]` values lie in edges[i] <= value < edges[i + 1]; the last part takes its upper edge too."""

    edges: tuple[float, ...]
    counts: tuple[Count, ...]


class Group(Contract):
    """The boxes of one label, of one project, or all of them."""

    boxes: Count
    pictures: Count = Field(description="with at least one of these boxes")
    per_picture: Spread = Field(description="boxes a picture, over all pictures of the group's project or of all")
    side: Spread = Field(description="square root of a box's area in pixels")
    relative_area: Spread = Field(description="a box's area as part of its picture's")
    density: Spread = Field(description="boxes per million pixels of a picture")
    coverage: Spread = Field(description="part of a picture that the boxes cover, counted once where they overlap")
    sizes: Histogram = Field(description="of the sides, in pixels")
    confidence: Spread


class AnalysedPicture(Contract):
    """One line of `analysis.jsonl`."""

    picture_id: str
    project: str | None = None
    boxes: Count
    labels: Mapping[Label, Count]
    density: float = Field(ge=0, description="boxes per million pixels")
    coverage: Fraction


class Analysis(Versioned):
    """The artifact `analysis` (analysis.json): all together, each label, each project."""

    input: Name
    pictures: Count
    pictures_without: Count
    all: Group
    labels: Mapping[Label, Group]
    projects: Mapping[str, Group] = Field(default_factory=dict)
