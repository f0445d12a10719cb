"""Tables, as far as probabilities need them."""

from typing import Literal

from studio9_baile.usecases.tables import Column, Figures, Table, Value
from studio9_baile.v2.wire.base import Answer, Moment

SALSA_STATUS = {"ACTIVE": "ACTIVE", "SAVING": "SAVING", "UPLOADING": "SAVING", "ERROR": "ERROR"}


class ColumnAnswer(Answer):
    name: str
    displayName: str
    dataType: Literal["STRING", "INTEGER", "DOUBLE"]
    variableType: Literal["CONTINUOUS", "CATEGORICAL"]
    align: Literal["LEFT", "RIGHT"]

    @classmethod
    def of(cls, column: Column) -> "ColumnAnswer":
        text = column.type == "STRING"
        return cls(
            name=column.name,
            displayName=column.name,
            dataType=column.type,
            variableType="CATEGORICAL" if text else "CONTINUOUS",
            align="LEFT" if text else "RIGHT",
        )


class TableAnswer(Answer):
    id: str
    ownerId: str
    datasetId: str
    name: str
    status: str
    datasetType: Literal["DERIVED"] = "DERIVED"
    created: Moment
    updated: Moment
    inLibrary: bool = True
    """There is nothing to save: a table is there as long as its album is."""
    columns: list[ColumnAnswer]

    @classmethod
    def of(cls, table: Table) -> "TableAnswer":
        album = table.album
        return cls(
            id=album.id,
            ownerId=album.owner,
            datasetId=album.id,
            name=f"{album.name} probability prediction",
            status=SALSA_STATUS[album.status],
            created=album.created_at,
            updated=album.updated_at,
            columns=[ColumnAnswer.of(column) for column in table.columns],
        )


class RowsAnswer(Answer):
    data: list[list[Value]]
    count: int


class Bin(Answer):
    count: int
    min: float | None = None
    max: float | None = None
    value: Value | None = None


class ColumnStats(Answer):
    columnName: str
    min: float | None = None
    max: float | None = None
    avg: float | None = None
    std: float | None = None
    stdPopulation: float | None = None
    median: float | None = None
    uniqueCount: int
    mostFrequentValue: Value | None = None
    histogram: list[Bin]

    @classmethod
    def of(cls, figures: Figures) -> "ColumnStats":
        return cls.model_validate(
            {
                "columnName": figures.column,
                **(figures.numbers or {}),
                "uniqueCount": figures.unique,
                "mostFrequentValue": figures.most_frequent,
                "histogram": figures.histogram,
            }
        )


class StatsAnswer(Answer):
    id: str
    status: Literal["DONE"] = "DONE"
    stats: list[ColumnStats]
