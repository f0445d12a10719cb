"""Tuning: asks and tells, gives up at rungs, goes on after a crash, and trains the winner with other seeds."""

import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from studio9_trainers.errors import BadInput, UserError
from studio9_trainers.tuning.rounds import Rounds
from studio9_trainers.tuning.search import search, with_settings
from studio9_trainers.tuning.space import parsed
from studio9_trainers.tuning.study import Study, rungs_of

SPACE = parsed({"rate": "1e-4..1e-1:log", "batch_size": "2..16", "optimizer": "AdamW,SGD"})


class Bowl:
    """Learns the faster the nearer the rate is to 0.01; some settings can't be used."""

    def __init__(self, settings: Mapping[str, Any], seed: int) -> None:
        self.settings, self.seed, self.asked = settings, seed, []

    def to(self, epochs: int) -> float:
        self.asked.append(epochs)
        if self.settings["batch_size"] == 7:
            raise UserError("batch_size = 7: use another.")
        miss = abs(self.settings["rate"] - 0.01) + (0 if self.settings["optimizer"] == "AdamW" else 0.02)
        return (1 - miss * 5) * epochs / 9 + self.seed * 1e-6


def test_rungs_are_thirds() -> None:
    assert rungs_of(27) == (1, 3, 9, 27)
    assert rungs_of(25) == (2, 8, 25)
    assert rungs_of(10, factor=2, least=3) == (5, 10)
    assert rungs_of(1) == (1,)


def test_spaces_are_read_and_refused_by_name() -> None:
    assert SPACE["rate"].log and SPACE["batch_size"].kind == "int"
    assert SPACE["optimizer"].values == ("AdamW", "SGD")
    for bad in ("9..2", "a..b", "0..1:log"):
        with pytest.raises(UserError, match=r"--vary x="):
            parsed({"x": bad})


def test_a_search_finds_the_bowls_bottom_and_gives_up_on_most(tmp_path: Path) -> None:
    made: dict[str, Bowl] = {}

    def begin(settings: Mapping[str, Any], seed: int, name: str) -> Bowl:
        made[name] = Bowl(settings, seed)
        return made[name]

    study = Study(SPACE, rungs_of(9), seed=4)
    winner = search(study, 20, begin, tmp_path / "study.json")
    assert winner.trial.settings["optimizer"] == "AdamW" and abs(winner.trial.settings["rate"] - 0.01) < 0.01
    states = [one.state for one in study.trials]
    assert len(states) == 20 and states.count("pruned") >= 3 and states.count("done") >= 1
    assert [made[f"winner-{number}"].seed for number in (1, 2, 3)] == [5, 6, 7]
    assert made["winner-1"].asked == [9] and winner.mean == pytest.approx(sum(winner.values) / 3) and winner.spread > 0
    assert Study.load(tmp_path / "study.json") == study


def test_a_search_that_goes_on_with_more_trials_trains_its_winner_anew(tmp_path: Path) -> None:
    saved, seeds = tmp_path / "study.json", list[int]()

    def begin(settings: Mapping[str, Any], seed: int, name: str) -> Bowl:
        if name.startswith("winner"):
            seeds.append(seed)
        return Bowl(settings, seed)

    at_once = Study(SPACE, rungs_of(9), seed=4)
    expected = search(at_once, 20, begin)
    first = search(Study(SPACE, rungs_of(9), seed=4), 3, begin, saved)
    assert search(Study.load(saved), 3, begin, saved) == first and seeds == [5, 6, 7] * 2, "there was nothing to do"
    assert search(Study.load(saved), 20, begin, saved) == expected and seeds == [5, 6, 7] * 3
    assert first.trial != expected.trial and first.values != expected.values


def test_seeds_of_a_winner_that_may_not_be_one_are_not_waited_for() -> None:
    study = Study(SPACE, (1,), seed=4)
    rounds = Rounds(study, 1)
    rounds.tell(rounds.ask()[0].name, 0.5)
    rounds.tell(rounds.ask()[0].name, 0.6)
    assert len(study.winners) == 1 and len(study.wanted) == 2
    assert [one.name for one in Rounds(study, 2).ask()] == ["trial-1.1"] and not study.winners


def test_a_search_holds_no_model_of_a_trial_that_is_over() -> None:
    held: weakref.WeakSet[Bowl] = weakref.WeakSet()

    def begin(settings: Mapping[str, Any], seed: int, name: str) -> Bowl:
        alive = len(held)
        assert alive == 0, f"{alive} when {name} begins"
        held.add(made := Bowl(settings, seed))
        return made

    study = Study(SPACE, rungs_of(9), seed=4)
    search(study, 20, begin)
    assert {one.state for one in study.trials} == {"done", "pruned", "failed"} and not held


def test_after_a_crash_it_goes_on_as_if_nothing_had_been(tmp_path: Path) -> None:
    class Crash(Exception):
        pass

    def fresh() -> Study:
        return Study(SPACE, rungs_of(9), seed=2)

    unbroken = fresh()
    search(unbroken, 12, lambda settings, seed, name: Bowl(settings, seed), tmp_path / "a.json")
    calls = 0

    class Dying(Bowl):
        def to(self, epochs: int) -> float:
            nonlocal calls
            calls += 1
            if calls == 9:
                raise Crash
            return super().to(epochs)

    saved = tmp_path / "b.json"
    with pytest.raises(Crash):
        search(fresh(), 12, lambda settings, seed, name: Dying(settings, seed), saved)
    again = Study.load(saved)
    assert 0 < len(again.trials) < 12
    search(again, 12, lambda settings, seed, name: Bowl(settings, seed), saved)
    assert [one.settings for one in again.trials] == [one.settings for one in unbroken.trials]
    assert again.winner == unbroken.winner


def test_settings_that_cannot_be_used_are_not_tried_again() -> None:
    study = Study(parsed({"batch_size": "7..7", "rate": "0.1..0.2", "optimizer": "SGD"}), (1,))
    with pytest.raises(BadInput, match="batch_size = 7"):
        search(study, 2, lambda settings, seed, name: Bowl(settings, seed))
    assert [one.state for one in study.trials] == ["failed", "failed"]


def test_a_lost_trial_is_asked_for_again() -> None:
    study = Study(SPACE, (1, 3))
    lost = study.ask()
    assert study.ask() is lost
    assert study.tell(lost.number, 1, 0.5)
    assert not study.tell(lost.number, 3, 0.6) and lost.state == "done"
    assert study.ask() is not lost


def test_settings_go_to_their_places() -> None:
    given = {"head": "H", "head_parameters": {"epochs": 3}}
    made = with_settings(given, {"rate": 0.1, "batch_size": 4}, ["batch_size"])
    assert made["rates"] == {"backbone": 0.1, "head": 0.1}
    assert made["head_parameters"] == {"epochs": 3, "batch_size": 4}
    with pytest.raises(UserError, match="no such parameter"):
        with_settings(given, {"colour": 1}, ["batch_size"])


def test_what_is_no_study_is_refused(tmp_path: Path) -> None:
    (tmp_path / "study.json").write_text("{}")
    with pytest.raises(BadInput, match=r"study\.json is no study"):
        Study.load(tmp_path / "study.json")
