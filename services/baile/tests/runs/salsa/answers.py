"""Which answer each route of the UI gets."""

from typing import Annotated, Any

from pydantic import Field

from .shapes import (
    Album,
    Augmentation,
    Bucket,
    Consumer,
    Dataset,
    Experiment,
    ExperimentItem,
    File,
    LabelCount,
    Listed,
    Model,
    OnlineJob,
    Picture,
    Prediction,
    Primitive,
    Process,
    Project,
    Share,
    Stats,
    Table,
    TableStats,
    User,
)

NOTHING = Listed[Any]
SHAPES: dict[str, Any] = {
    "/me": User,
    "/me/stats": Stats,
    "/me/shares": Listed[Share],
    "/users": Listed[User],
    "/config/cv-architectures": list[Primitive],
    "/config/cv-classifiers": list[Consumer],
    "/config/cv-detectors": list[Consumer],
    "/config/cv-decoders": Annotated[list[Consumer], Field(min_length=1)],
    "/config/cv-data-augmentation-defaults": Annotated[list[Augmentation], Field(min_length=12, max_length=12)],
    "/config/operator-categories": list[Any],
    "/s3buckets": Listed[Bucket],
    "/albums": Listed[Album],
    "/albums/{}": Album,
    "/albums/{}/pictures": Listed[Picture],
    "/albums/{}/pictures/{}": Picture,
    "/albums/{}/tags": list[LabelCount],
    "/cv-models": Listed[Model],
    "/cv-models/{}": Model,
    "/experiments": Listed[ExperimentItem],
    "/experiments/{}": Experiment,
    "/experiments/{}/process": Process,
    "/cv-predictions": Listed[Prediction],
    "/cv-predictions/{}": Prediction,
    "/cv-predictions/{}/process": Process,
    "/online-jobs": Listed[OnlineJob],
    "/online-jobs/{}": OnlineJob,
    "/processes": Listed[Process],
    "/processes/{}": Process,
    "/projects": Listed[Project],
    "/datasets": Listed[Dataset],
    "/datasets/{}": Dataset,
    "/datasets/{}/ls": Listed[File],
    "/tables/{}": Table,
    "/tables/{}/data": Listed[list[str | int | float]],
    "/tables/{}/stats": TableStats,
    **{f"/{section}": NOTHING for section in (
        "tables", "models", "predictions", "pipelines", "pipeline-operators", "packages", "optimizations",
        "s9-projects",
    )},
}  # fmt: skip
"""What a GET of a path answers; `{}` stands for an id."""
