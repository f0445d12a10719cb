"""What the command that builds the images reads, and what it says without an engine."""

import json
from pathlib import Path

import pytest

from studio9_cli.images.building import Build, Image
from studio9_cli.images.recipes import NAMES, recipe
from studio9_cli.images.steps import Step, steps
from studio9_cli.main import main

TOLD = """#1 [internal] load build definition from Dockerfile
#1 DONE 0.1s
#5 [build 1/4] FROM docker.io/library/base
#5 DONE 0.0s
#7 [build 3/4] COPY requirements/ requirements/
#7 CACHED
#6 [build 2/4] RUN python3 -m venv /opt/bootstrap  && echo "[done]"
#6 1.234 #7 DONE 9.9s
#6 DONE 12.5s
#8 exporting to image
#8 DONE 0.4s
#9 [build 4/4] RUN false
#9 ERROR: process did not complete successfully
"""


def test_the_steps_of_a_build_and_their_times() -> None:
    assert steps(TOLD.splitlines()) == [
        Step("[build 1/4] FROM docker.io/library/base", 0.0, False),
        Step('[build 2/4] RUN python3 -m venv /opt/bootstrap  && echo "[done]"', 12.5, False),
        Step("[build 3/4] COPY requirements/ requirements/", 0.0, True),
    ]


def test_every_recipe_is_there_and_every_service_has_one() -> None:
    services = {path.parent.name for path in (Path(__file__).parents[3] / "services").glob("*/pyproject.toml")}
    assert {*NAMES} == services | {"trainers"}
    assert all(recipe(name).file.is_file() for name in NAMES)
    assert {name for name in NAMES if recipe(name).arguments.get("TRAINERS")} == {"worker"}


def test_an_image_is_told_for_people() -> None:
    made = Image("sha256:1", 123_456_789, "10001:10001", "base:1", 4.25, steps(TOLD.splitlines()))
    head, _, second, third = made.lines("studio9/aries:1")
    assert head == "studio9/aries:1  123 MB  4.2 s  user 10001:10001, on base:1"
    assert second.startswith("    12.5 s  [build 2/4] RUN") and third.startswith("    cached  [build 3/4]")
    assert "was there  user root" in Image("sha256:1", 1, "", Build().base, None).lines("a")[0]


def test_without_an_engine_each_image_says_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nowhere = f"unix://{tmp_path}/engine.sock"
    assert main(["images", "aries", "argo", "--engine", nowhere, "--no-build", "--json"]) == 1
    told = capsys.readouterr()
    assert json.loads(told.out)["images"] == {} and set(json.loads(told.out)["failed"]) == {"aries", "argo"}
    assert "studio9: aries: " in told.err
