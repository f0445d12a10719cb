"""Inputs of a training that lie in a bucket of the user's own: judged before anything is queued.

Only code of the user's own reads them, in its sealed container; the platform's trainers take what it has looked at.
"""

from collections.abc import Sequence
from dataclasses import replace

from studio9_baile.core import Caller, Core
from studio9_baile.repositories.work import Work
from studio9_baile.usecases.augmentation import AWS_REGIONS
from studio9_baile.usecases.credentials import check_usable
from studio9_common.contracts.job import Input, Source
from studio9_common.contracts.sources import check_source
from studio9_common.errors import BadInput
from studio9_common.http.outbound import resolve

MOST = 16
"""Inputs from buckets of one job."""


def from_bucket(name: str, source: Source) -> Input:
    """The input that a source makes; `check_inputs` judges it."""
    return Input(name=name, kind="file" if source.prefix is None else "folder", source=source)


async def check_inputs(core: Core, wanted: Sequence[Input], *, own_code: bool) -> tuple[Input, ...]:
    """The inputs as the job will name them. Raises BadInput, ForbiddenAddress, NotReached."""
    if wanted and not own_code:
        raise BadInput(
            "Only code of your own reads files from buckets", field="inputs",
            fix="name `code` and `entry`, or bring pictures into an album",
        )  # fmt: skip
    if len(wanted) > MOST:
        raise BadInput("Too many inputs", field="inputs", value=len(wanted), fix=f"give at most {MOST}")
    own = core.settings.buckets_endpoint.rstrip("/")
    checked: list[Input] = []
    for number, one in enumerate(wanted):
        field, source = f"inputs.{number}", one.source
        assert source is not None
        check_source(one, source, field)
        if any(other.name == one.name for other in checked):
            raise BadInput("Two inputs have one name", field=f"{field}.name", value=one.name, fix="rename one")
        endpoint = (source.endpoint or "").rstrip("/") or None
        if endpoint is None and not own and source.region not in AWS_REGIONS:
            raise BadInput(
                "AWS region is invalid", field=f"{field}.region", value=source.region, fix="write it as us-east-1"
            )
        if endpoint is not None:
            await resolve(endpoint, private=endpoint == own, field=f"{field}.endpoint")
        checked.append(replace(one, source=replace(source, endpoint=endpoint)))
    return tuple(checked)


async def check_credentials(work: Work, caller: Caller, inputs: Sequence[Input]) -> None:
    """Raises BadInput for a credential that is none of the caller's."""
    for number, one in enumerate(inputs):
        if one.source is not None:
            await check_usable(work, caller, one.source.credential, f"inputs.{number}.credential")
