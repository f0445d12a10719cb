"""A trainer that a user wrote, in a real container: it learns and predicts; one that does harm, or fails, is held."""

import io
import re
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from studio9_cli.project import root
from studio9_common.contracts.job import Input, Provenance, Spec
from studio9_common.contracts.predictions import AttemptManifest, ManifestFile
from studio9_common.ids import new_id
from studio9_task.parameters import TrainParameters
from studio9_task.results import RESULT

from . import training
from .harness import PROGRAMS, Platform

EPOCHS = 30
OTHER = "marked-secret"
PAGE = root() / "docs" / "how-to" / "train-with-code-of-your-own.md"


async def code(platform: Platform, secret: Path = Path("/nowhere/at/all")) -> Input:
    """The package, as an archive."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.write(PROGRAMS / "own_trainer.py", "own/trainer.py")
        archive.writestr("own/__init__.py", "")
        archive.writestr("secret.py", f"PATH = {str(secret)!r}\n")
    return Input(name="code", kind="file", ref=await training.put(platform, f"code/{new_id()}.zip", content.getvalue()))


async def shown(platform: Platform) -> Input:
    """The package of the page on code of one's own, as a user would send it."""
    (program,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("own/trainer.py", program)
    return Input(name="code", kind="file", ref=await training.put(platform, f"code/{new_id()}.zip", content.getvalue()))


def order(name: str, inputs: Sequence[Input], epochs: int = 1, **more: Any) -> Spec:
    """To train with one of its classes."""
    head = {"epochs": epochs, "batch_size": 4, "entry": f"own.trainer:{name}", "recipe_learning_rate": 0.1}
    parameters = TrainParameters(architecture="CUSTOM", head="CUSTOM_CLASSIFIER", head_parameters=head)
    return Spec(
        kind="train", framework="custom", parameters=parameters.model_dump(mode="json"), inputs=tuple(inputs), **more
    )


async def files(platform: Platform, result: Any) -> dict[str, ManifestFile]:
    """What an attempt delivered, by name."""
    manifest = AttemptManifest.model_validate_json(await platform.objects.get(result.manifest.key))
    return {file.name: file for file in manifest.files}


def told(platform: Platform, job: str, word: str) -> str | None:
    """A log line of a job's task that holds the word."""
    items = (item for batch in platform.telemetry if batch.job == job for item in batch.items)
    return next((item.message for item in items if item.message and word in item.message), None)


async def test_it_learns_evaluates_and_predicts(platform: Platform, trainers_python: Path) -> None:
    await training.start(platform, trainers_python)
    own = await shown(platform)
    train, test = await training.colours(platform, "train", 16), await training.colours(platform, "test", 6)
    job = await training.send(platform, order("Colour", [own, train, test], EPOCHS))
    trained = await training.result(platform, job)
    assert (trained.outcome, trained.reason) == ("succeeded", None)
    assert trained.checkpoint is not None
    delivered = await files(platform, trained)
    result = RESULT.validate_json(await platform.objects.get(delivered["result.json"].key))
    assert (result.kind, result.framework) == ("train", "custom")
    assert result.test is not None and result.test.accuracy == 1.0
    weights = delivered["model.pt"]
    model = Input(name="model", kind="file", ref=await ref(platform, weights))

    evaluated = await training.result(
        platform, await training.send(platform, Spec(kind="evaluate", framework="custom", inputs=(own, model, test)))
    )
    assert (evaluated.outcome, evaluated.reason) == ("succeeded", None)
    result = RESULT.validate_json(await platform.objects.get((await files(platform, evaluated))["result.json"].key))
    assert result.kind == "evaluate" and result.test.accuracy == 1.0

    pictures = await training.colours(platform, "predict", 4)
    made_by = Provenance(model_id="m1", model_version="v1")
    spec = Spec(kind="predict", framework="custom", inputs=(own, model, pictures), provenance=made_by)
    job = await training.send(platform, spec)
    predicted = await training.result(platform, job)
    assert (predicted.outcome, predicted.reason) == ("succeeded", None)
    assert predicted.manifest is not None
    manifest = AttemptManifest.model_validate_json(await platform.objects.get(predicted.manifest.key))
    assert manifest.predictions is not None
    assert (manifest.predictions.rows, manifest.predictions.pictures) == (4, 4)
    await platform.clean(job)


async def ref(platform: Platform, file: ManifestFile) -> Any:
    """A delivered file as what a later job is given."""
    return await training.put(platform, f"models/1/{file.name}", await platform.objects.get(file.key))


FAILS = {
    "Raising": "Your trainer raised ZeroDivisionError while training in own/trainer.py, line 95: no pictures of cats.",
    "Nonsense": "Your model's classify() gave no scores for train-0.png",
    "Calling": "raised OSError while training in own/trainer.py",
    "Prying": "raised PermissionError while training in own/trainer.py",
    "Missing": "has no class Missing",
}


async def test_what_it_does_wrong_is_its_own_error_and_reaches_nobody(
    platform: Platform, trainers_python: Path
) -> None:
    await training.start(platform, trainers_python, cpu_slots=2)
    pictures = await training.colours(platform, "train", 8)
    patient = await training.send(platform, order("Hanging", [await code(platform), pictures]))
    await platform.until(lambda: told(platform, patient, "hanging"), training.TRAINED_S)
    secret = platform.task_folder(patient).inputs / OTHER
    secret.write_text("of another job")
    own = await code(platform, secret)
    jobs = {}
    for name, message in FAILS.items():
        jobs[name] = job = await training.send(platform, order(name, [own, pictures]))
        result = await training.result(platform, job)
        assert result.reason is not None, name
        assert (result.outcome, result.reason.code, result.reason.class_) == ("failed", "user_error", "user"), name
        assert message in result.reason.message
        await platform.clean(job)
    assert told(platform, jobs["Prying"], "secrets") == "found 0 secrets: []"
    await platform.cancel(patient)
    assert (await training.result(platform, patient)).outcome == "cancelled"
    await platform.clean(patient)


async def test_one_that_hangs_ends_at_its_time_limit(platform: Platform, trainers_python: Path) -> None:
    await training.start(platform, trainers_python)
    limit_s = 30.0
    inputs = [await code(platform), await training.colours(platform, "train", 8)]
    while True:
        job = await training.send(platform, order("Hanging", inputs, max_run_s=limit_s))
        result = await training.result(platform, job)
        assert result.reason is not None
        assert (result.outcome, result.reason.code, result.reason.class_) == ("failed", "timeout", "policy")
        await platform.clean(job)
        if told(platform, job, "hanging"):
            break
        limit_s *= 2  # the machine is so busy that the trainers' libraries were not even loaded
