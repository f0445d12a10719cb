"""Kind `tune` with children that a stand-in trains: rounds, what is lost and asked for again, a parent that dies; and
kind `trial` with real trainings that pause at a rung."""

import json
import shutil
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from studio9_task.children import Asked, AskedChild
from studio9_task.events import Checkpoint, Failed
from studio9_task.exits import EXIT_SYSTEM
from studio9_task.layout import TaskFolder
from studio9_task.parameters import TrainParameters
from studio9_task.request import EndedChild
from studio9_task.results import RESULT, TrialResult, TuneResult
from studio9_task.tail import EventReader
from studio9_task.tuning import StudyFile
from studio9_trainers.files import read_model
from studio9_trainers.task import run_task
from studio9_trainers.tuning.study import Study

HEAD = {"epochs": 9, "batch_size": 4}
VARY = {
    "rate": {"kind": "float", "low": 1e-4, "high": 0.1, "log": True},
    "batch_size": {"kind": "int", "low": 2, "high": 16},
}


@pytest.fixture(autouse=True)
def _signals_stay_pytests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("studio9_trainers.stop.StopFlag.listen", lambda self: None)


def fitness(asked: AskedChild) -> float:
    """Better the nearer the rate is to 0.01, and with every epoch."""
    train = asked.parameters["train"]
    miss = abs(train["rates"]["head"] - 0.01)
    return float((1 - 5 * miss) * asked.parameters["epochs"] / 9 + train["head_parameters"]["seed"] * 1e-6)


FIGURES = {"input": "val", "pictures": 1, "boxes": 1, "predicted": 0, "labels": ["boat"]}


class Platform:
    """What worker and Orion do: run the parent, train what it asks for, bring the results."""

    def __init__(self, make: Callable[..., TaskFolder], root: Path, **parameters: Any) -> None:
        self.first: TaskFolder = make("train", head=HEAD, train=range(1))
        given = json.loads(self.first.request.read_text())
        train = given["parameters"]
        given |= {"kind": "tune", "framework": "studio9", "seed": 4}
        given["parameters"] = {
            "framework": "yolo",
            "train": train,
            "vary": VARY,
            "trials": 6,
            "at_once": 3,
        } | parameters
        self.request, self.root, self.runs = given, root, 0
        self.rounds: list[list[AskedChild]] = []

    def run(
        self, study: Path | None = None, children: Mapping[str, dict[str, Any]] | None = None, code: int = 0
    ) -> Any:
        """One run of the parent: what it asks for, or its result."""
        self.runs += 1
        folder = TaskFolder(self.root / f"run-{self.runs}")
        shutil.copytree(self.first.root, folder.root)
        request = dict(self.request)
        if study is not None:
            kept = folder.input("checkpoint") / "checkpoint.json"
            kept.parent.mkdir()
            shutil.copyfile(study, kept)
            request["resume"] = {"checkpoint": kept.relative_to(folder.root).as_posix()}
        request["children"] = []
        for name, one in (children or {}).items():
            request["children"].append(
                EndedChild(name=name, state=one["state"], lost=one.get("lost", False), message="gone").model_dump()
            )
            if one["state"] == "completed":
                folder.child(name).mkdir(parents=True)
                facts = {"fitness": one["fitness"], "labels": ["boat"], "val": {**FIGURES, "predicted": len(name)}}
                (folder.child(name) / "result.json").write_text(json.dumps(facts))
                (folder.child(name) / "model.pt").write_text(name)
        folder.request.write_text(json.dumps(request))
        assert run_task(folder) == code
        self.folder = folder
        if (folder.outputs / "children.json").is_file():
            asked = Asked.model_validate_json((folder.outputs / "children.json").read_bytes()).children
            self.rounds.append(list(asked))
            return list(asked)
        if code == 0:
            return RESULT.validate_json((folder.outputs / "result.json").read_bytes())
        return None

    @property
    def study(self) -> Path:
        return self.folder.outputs / "study.json"

    @property
    def state(self) -> Path:
        """What the next run goes on from."""
        events = EventReader(self.folder.events).read(100_000)
        return self.folder.outputs / [event.path for event in events if isinstance(event, Checkpoint)][-1]

    def to_the_end(
        self, asked: Any = None, study: Path | None = None, train: Callable[[AskedChild], dict[str, Any]] | None = None
    ) -> TuneResult:
        train = train or trained
        asked = asked or self.run()
        while isinstance(asked, list):
            asked = self.run(study or self.state, {one.name: train(one) for one in asked})
            study = None
        return asked  # type: ignore[no-any-return]


def trained(asked: AskedChild) -> dict[str, Any]:
    return {"state": "completed", "fitness": fitness(asked)}


@pytest.fixture
def platform(job: Callable[..., TaskFolder], tmp_path: Path) -> Callable[..., Platform]:
    return lambda **parameters: Platform(job, tmp_path / f"p{len(list(tmp_path.iterdir()))}", **parameters)


def test_a_study_goes_in_rounds_to_its_winner(platform: Callable[..., Platform], told: Any) -> None:
    one = platform()
    result = one.to_the_end()
    assert isinstance(result, TuneResult)
    assert len(result.trials) == 6 and {trial.state for trial in result.trials} <= {"done", "pruned"}
    assert result.settings == result.trials[result.winner].settings and len(result.values) == 3
    first, last = one.rounds[0], one.rounds[-1]
    assert [child.name for child in first] == ["trial-0.1", "trial-1.1", "trial-2.1"], "no more than may be at once"
    assert all(child.kind == "trial" and child.inputs == ("train",) and not child.files for child in first)
    going_on = [child for asked in one.rounds[1:-1] for child in asked if child.files]
    assert going_on, "of those that came to a rung the best go on"
    for child in going_on:
        before = child.files["state"].child
        place = next(place for place, asked in enumerate(one.rounds) if child in asked)
        assert before in [other.name for other in one.rounds[place - 1]], "from where they were in the round before"
    assert [child.name for child in last] == ["winner-1", "winner-2", "winner-3"]
    assert {child.seed for child in last} == {5, 6, 7} and "model.pt" in last[0].bring
    assert (one.folder.outputs / "model.pt").read_text() == "winner-3", "the seed that reached most"
    assert max(one.rounds, key=len) and len(max(one.rounds, key=len)) == 3
    assert all(child.parameters["judge"] == (asked is last) for asked in one.rounds for child in asked)
    assert result.labels == ("boat",) and result.val is not None
    assert result.parameters == TrainParameters.model_validate(last[2].parameters["train"]), "of the model that is left"
    study = Study.load(one.study)
    assert study.winner.number == result.winner
    read = StudyFile.model_validate_json(one.study.read_bytes())
    assert [(trial.settings, trial.values, trial.state) for trial in read.trials] == [
        (trial.settings, trial.values, trial.state) for trial in result.trials
    ]
    assert read.winners == study.winners and read.rungs == (1, 3, 9)


def test_a_parent_that_dies_in_any_run_asks_for_the_same(platform: Callable[..., Platform], told: Any) -> None:
    unbroken = platform()
    expected = unbroken.to_the_end()
    broken = platform()
    asked: Any = broken.run()
    while isinstance(asked, list):
        before, children = broken.state, {one.name: trained(one) for one in asked}
        newer = broken.run(before, children)  # this run is lost once it has written its state, before it was heard
        again = broken.run(before, children)
        if isinstance(newer, list):
            assert again == newer, "from the last state that was kept"
            late = broken.run(broken.state, children)
            assert late == newer, "from its own state, with the children of the round before"
        asked = again
    assert asked.settings == expected.settings and asked.values == expected.values
    checkpoints = [event for event in told(unbroken.folder) if isinstance(event, Checkpoint)]
    assert not checkpoints, "the last run has nothing to go on from"


def test_a_retry_has_the_study_but_not_its_children(platform: Callable[..., Platform]) -> None:
    """A job that is retried is a new one: children of the old one are not its own, so their files can't be named."""
    one = platform()
    asked: Any = one.run()
    while not any(child.files for child in asked):
        asked = one.run(one.state, {child.name: trained(child) for child in asked})
    retried: Any = one.run(one.state)
    assert [child.name for child in retried] == [child.name for child in asked]
    assert not any(child.files or child.again for child in retried), "they begin anew"
    assert isinstance(one.to_the_end(retried), TuneResult)


def test_what_is_lost_is_asked_for_again_and_what_is_wrong_is_not(platform: Callable[..., Platform]) -> None:
    seen: list[str] = []

    def train(asked: AskedChild) -> dict[str, Any]:
        seen.append(asked.name)
        if asked.name.startswith("trial-0"):
            return {"state": "failed", "lost": True}
        if asked.name.startswith("trial-1."):
            return {"state": "failed"}
        if asked.name == "winner-2":
            return {"state": "failed", "lost": True}
        return trained(asked)

    one = platform()
    result = one.to_the_end(train=train)
    assert [name for name in seen if name.startswith("trial-0")] == [
        "trial-0.1",
        "trial-0.1.again1",
        "trial-0.1.again2",
    ]
    again = next(child for asked in one.rounds for child in asked if child.name == "trial-0.1.again2")
    assert again.again == "trial-0.1.again1" and not again.files, "with the inputs that the lost one had"
    assert [name for name in seen if name.startswith("trial-1.")] == ["trial-1.1"]
    assert result.trials[0].state == result.trials[1].state == "failed" and result.trials[1].reason == "gone"
    assert len(result.values) == 3 and "winner-2.again1" in seen
    assert (one.folder.outputs / "model.pt").read_text() == "winner-3", "though it came a round before"


@pytest.mark.parametrize(
    ("lost", "retried", "delivered", "seeds"),
    [
        ({"winner-2"}, {"state": "failed"}, "winner-3", 2),
        ({"winner-2"}, {"state": "failed", "lost": True}, "winner-3", 2),
        ({"winner-2"}, {"state": "completed", "fitness": 0.0}, "winner-3", 3),
        ({"winner-2"}, {"state": "completed", "fitness": 9.0}, "winner-2.again1", 3),
        ({"winner-1", "winner-2", "winner-3"}, {"state": "failed"}, None, 0),
    ],
)
def test_the_best_seeds_model_is_kept_while_another_is_trained_again(
    platform: Callable[..., Platform],
    told: Any,
    lost: set[str],
    retried: dict[str, Any],
    delivered: str | None,
    seeds: int,
    tmp_path: Path,
) -> None:
    def train(asked: AskedChild) -> dict[str, Any]:
        if asked.name in lost:
            return {"state": "failed", "lost": True}
        return retried if asked.name.startswith("winner") and asked.again else trained(asked)

    one = platform(trials=1)
    asked: Any = one.run()
    while not any(child.again for child in asked):
        asked = one.run(one.state, {child.name: train(child) for child in asked})
    if delivered is None:
        one.run(one.state, {child.name: train(child) for child in asked}, code=EXIT_SYSTEM)
        failed = next(event for event in told(one.folder) if isinstance(event, Failed))
        assert "None of the trainings of the winner" in failed.message
        return
    while isinstance(asked, list):
        before, children = one.state, {child.name: train(child) for child in asked}
        asked = one.run(before, children)
        if isinstance(asked, list):
            assert one.run(one.state, children) == asked, "a run that died goes on from its own state"
    again = one.run(before, children)
    assert again.values == asked.values and len(asked.values) == seeds
    assert (one.folder.outputs / "model.pt").read_text() == delivered
    assert again.val == asked.val and asked.val.predicted == len(delivered), "the figures are that model's"
    older = tmp_path / "of-an-earlier-release.zip"
    with zipfile.ZipFile(before) as packed, zipfile.ZipFile(older, "w") as written:
        for name in ("study.json", "model.pt"):
            written.writestr(name, packed.read(name))
    assert one.run(older, children).values == asked.values
    assert (one.folder.outputs / "model.pt").read_text() == delivered


def test_what_is_no_state_of_a_search_is_refused(platform: Callable[..., Platform], told: Any, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "state.zip", "w") as packed:
        packed.writestr("study.json", "{}")
    one = platform()
    one.run(tmp_path / "state.zip", code=64)
    failed = next(event for event in told(one.folder) if isinstance(event, Failed))
    assert "is no study" in failed.message


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"vary": {"colour": {"kind": "one_of", "values": [1]}}}, "vary.colour: the head has no such parameter"),
        ({"vary": {"rate": {"kind": "float", "low": 1, "high": 0}}}, "vary.rate"),
        ({"vary": {}}, "vary"),
        ({"trials": 0}, "trials"),
        ({"trials": 201}, "trials"),
        ({"at_once": 9}, "at_once"),
        ({"framework": "Not A Name"}, "framework"),
    ],
)
def test_what_cannot_be_searched_is_refused_before_anything_is_trained(
    platform: Callable[..., Platform], told: Any, parameters: dict[str, Any], says: str
) -> None:
    one = platform(**parameters)
    one.run(code=64)
    failed = next(event for event in told(one.folder) if isinstance(event, Failed))
    assert failed.class_ == "user" and says in failed.message


def test_a_trial_that_pauses_at_a_rung_ends_like_one_that_does_not(
    job: Callable[..., TaskFolder], tmp_path: Path
) -> None:
    def run(epochs: int, state: Path | None = None) -> tuple[TrialResult, TaskFolder]:
        folder: TaskFolder = job("train", head=HEAD | {"epochs": 2, "validation_fraction": 0.2}, train=range(6))
        request = json.loads(folder.request.read_text())
        request |= {"kind": "trial", "framework": "studio9"}
        request["parameters"] = {
            "framework": "yolo", "train": request["parameters"], "epochs": epochs, "judge": state is not None
        }  # fmt: skip
        folder.request.write_text(json.dumps(request))
        if state is not None:
            folder.input("state").mkdir()
            shutil.copyfile(state, folder.input("state") / "state.pt")
        assert run_task(folder) == 0
        result = RESULT.validate_json((folder.outputs / "result.json").read_bytes())
        assert isinstance(result, TrialResult)
        return result, folder

    first, paused = run(1)
    assert first.epochs_done == 1 and not (paused.outputs / "model.pt").exists() and first.val is None
    again, _ = run(1, paused.outputs / "state.pt")
    assert again.fitness == first.fitness, "there is nothing left to learn up to this rung"
    second, resumed = run(2, paused.outputs / "state.pt")
    whole, unbroken = run(2)
    assert second.fitness == whole.fitness and second.epochs_done == whole.epochs_done == 2
    assert second.val is not None and second.val.map50 is not None and second.labels and whole.val is None
    models = [read_model(one.outputs / "model.pt").state for one in (resumed, unbroken)]
    assert all(torch.equal(tensor, models[1][name]) for name, tensor in models[0].items())
