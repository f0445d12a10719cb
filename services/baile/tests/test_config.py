"""What forms are offered: from the workers' announcements, in Salsa's shape; and the fixed lists."""

import json
from typing import Any

from studio9_baile.v2.wire.config import ParameterAnswer
from studio9_task.catalogue import Catalogue, FloatParameter, StringParameter


async def test_primitives_have_the_contracts_shape(ana: Any) -> None:
    vgg, yolo = await ana.ok("GET", "/config/cv-architectures")
    assert yolo == {
        "id": "YOLO11N", "name": "YOLO11 nano", "moduleName": "ultralytics.nn.tasks", "className": "DetectionModel",
        "packageName": "ultralytics", "packageVersion": "8.4.190",
    }  # fmt: skip
    assert "packageVersion" not in vgg
    assert vgg["params"] == [{"name": "depth", "multiple": False, "type": "int", "defaults": [3], "min": 1, "max": 5}]
    (detector,) = await ana.ok("GET", "/config/cv-detectors")
    assert detector["id"] == "YOLO_HEAD" and detector["isNeural"] is True
    epochs, optimizer, mosaic = detector["params"]  # not the note and the momentum, which have no default
    assert epochs == {"name": "epochs", "multiple": False, "type": "int", "defaults": [25], "min": 1, "max": 3000,
                      "step": 1}  # fmt: skip
    assert optimizer == {"name": "optimizer", "multiple": False, "type": "string", "options": ["AdamW", "SGD"],
                         "defaults": ["AdamW"]}  # fmt: skip
    assert mosaic == {"name": "mosaic", "multiple": False, "type": "boolean", "defaults": [False]}
    (classifier,) = await ana.ok("GET", "/config/cv-classifiers")
    assert classifier["id"] == "FCN_1LAYER" and "params" not in classifier


def test_parameters_have_what_the_form_reads() -> None:
    """The form reads the options of every text, and refuses every number where an empty list of options is named."""
    when = {"optimizer": {"values": ["SGD"]}, "epochs": {"min": 2}, "mosaic": {"value": True}}
    text = StringParameter.model_validate({"name": "note", "defaults": ["x"], "conditions": when})
    assert ParameterAnswer.of(text).model_dump(exclude_none=True) == {
        "name": "note", "multiple": False, "type": "string", "options": [], "defaults": ["x"],
        "conditions": {"optimizer": {"values": ["SGD"]}, "epochs": {"min": 2}, "mosaic": {"value": True}},
    }  # fmt: skip
    number = FloatParameter.model_validate({"name": "rate", "defaults": [0.5], "min": 0, "max": 1})
    assert ParameterAnswer.of(number).model_dump(exclude_none=True) == {
        "name": "rate", "multiple": False, "type": "float", "defaults": [0.5], "min": 0, "max": 1,
    }  # fmt: skip


async def test_where_no_decoder_runs_one_entry_says_so(ana: Any, installation: Any) -> None:
    (entry,) = await ana.ok("GET", "/config/cv-decoders")
    assert (entry["id"], entry["name"]) == ("NONE_OFFERED", "(none is offered here)")
    assert entry["isNeural"] is False, "the form offers only what is"
    heads = installation.stand_ins.documents["workers"]["w1"]["catalogue"]["heads"]
    (detector,) = (one for one in heads if one["consumer"] == "detector")
    brought = {**detector, "id": "STACKED", "consumer": "decoder"}
    catalogue = {**installation.stand_ins.documents["workers"]["w1"]["catalogue"], "heads": [*heads, brought]}
    announced = json.loads(Catalogue.model_validate(catalogue).printed())
    assert 0 in announced["heads"][-1]["parameters"], "what both heads have is said once"
    await installation.stop()
    installation.stand_ins.documents["workers"]["w1"] |= {"catalogue": announced}
    await installation.start()
    again = await installation.sign_in("ana")
    (entry,) = await again.ok("GET", "/config/cv-decoders")
    (same,) = await again.ok("GET", "/config/cv-detectors")
    assert (entry["id"], entry["params"]) == ("STACKED", same["params"])


async def test_the_last_catalogue_is_known_without_workers_and_without_aries(installation: Any, ana: Any) -> None:
    assert await ana.ok("GET", "/config/cv-detectors")
    await installation.stop()
    installation.stand_ins.away = True
    await installation.start()
    again = await installation.sign_in("ana")
    assert [one["id"] for one in await again.ok("GET", "/config/cv-detectors")] == ["YOLO_HEAD"]


async def test_a_worker_that_joins_later_is_seen_at_once(installation: Any, ana: Any) -> None:
    workers = installation.stand_ins.documents.pop("workers")
    assert await ana.ok("GET", "/config/cv-detectors") == []
    installation.stand_ins.documents["workers"] = workers
    assert len(await ana.ok("GET", "/config/cv-detectors")) == 1


async def test_a_catalogue_that_cannot_be_read_does_not_hide_the_others(installation: Any, ana: Any) -> None:
    installation.stand_ins.documents["workers"]["w0"] = {
        "organisation": "system", "last_seen": "2026-11-21T00:00:00.000000Z", "catalogue": {"heads": 5},
    }  # fmt: skip
    assert len(await ana.ok("GET", "/config/cv-detectors")) == 1


async def test_all_twelve_augmentations_with_their_bloat_factor(ana: Any) -> None:
    defaults = await ana.ok("GET", "/config/cv-data-augmentation-defaults")
    assert [one["augmentationType"] for one in defaults] == [
        "ROTATION", "SHEARING", "CROPPING", "BLURRING", "NOISING", "ZOOM_IN", "ZOOM_OUT", "OCCLUSION", "SALT_PEPPER",
        "MIRRORING", "TRANSLATION", "PHOTO_DISTORT",
    ]  # fmt: skip
    assert all(one["bloatFactor"] >= 1 for one in defaults)


async def test_buckets_and_regions(ana: Any) -> None:
    assert await ana.ok("GET", "/s3buckets") == {"data": [{"id": "local", "name": "inbox"}], "count": 1}
    assert "us-east-1" in await ana.ok("GET", "/config/aws-regions")
