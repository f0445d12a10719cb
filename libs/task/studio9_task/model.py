"""What all models of the contract share: frozen, unknown fields ignored, no NaN, times as text."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

SCHEMA = 1
"""The schema that this build writes. Readers accept any: new fields leave the old ones' meaning."""

Time = Annotated[str, StringConstraints(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$")]
"""A moment: UTC, RFC 3339, microseconds, `Z`."""

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
"""A content hash: 64 lower-case hexadecimal digits."""

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_.-]{0,62}$")]
"""The name of an input, an artifact or a code: short, safe as a file name."""

Label = Annotated[str, StringConstraints(min_length=1, max_length=500)]
"""A class of the user's own naming."""


class Contract(BaseModel):
    """A frozen part of the contract."""

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        allow_inf_nan=False,
        serialize_by_alias=True,
        validate_by_name=True,
        validate_by_alias=True,
        protected_namespaces=(),
    )


class Versioned(Contract):
    """A part of the contract that is stored by itself and so carries its schema."""

    schema_version: int = Field(default=SCHEMA, alias="schema", ge=1)
