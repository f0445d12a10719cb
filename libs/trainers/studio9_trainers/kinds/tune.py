"""Kind `tune`: a study whose trials are children. Each run tells it what they have reached and asks for the next."""

import json
import math
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from studio9_task.children import Asked, AskedChild, ChildFile
from studio9_task.outputs import new_file
from studio9_task.parameters import TrainParameters
from studio9_task.problems import describe
from studio9_task.request import TaskRequest
from studio9_task.results import TriedSettings, TuneResult
from studio9_task.tuning import STATE, TuneParameters
from studio9_trainers.config import TrainingConfig, training_config
from studio9_trainers.errors import BadInput, TaskError, UserError
from studio9_trainers.frameworks import catalogue
from studio9_trainers.machine import ran
from studio9_trainers.run import Run
from studio9_trainers.tuning.kept import RESULT, keep, kept
from studio9_trainers.tuning.rounds import SEEDS, Rounds
from studio9_trainers.tuning.search import with_settings
from studio9_trainers.tuning.space import checked
from studio9_trainers.tuning.study import Study, Wanted, rungs_of

HANDED_ON = ("train", "val", "code")
"""Inputs that the trials get: the pictures, and code of the user's own."""
MOST_SEED = 2**31 - 1


def tune(run: Run, request: TaskRequest) -> TuneResult | Asked:
    """Do one round. Its checkpoint is the study, with the best model of the winner so far; outputs of the last run:
    `study.json`, `model.pt`."""
    try:
        parameters = TuneParameters.model_validate(request.parameters)
    except ValidationError as error:
        raise UserError(f"The parameters can't be used: {describe(error)}", "bad_parameters") from None
    if "train" not in request.inputs:
        raise BadInput("inputs: there is no train input: give the training album.")
    config, names = _judged(parameters, request.seed)
    model: Path | None = None
    if run.checkpoint is not None:
        study, model = kept(run.checkpoint, run.folder.scratch)
    else:
        rungs = rungs_of(config.epochs, parameters.factor)
        study = Study(checked(parameters.vary), rungs, request.seed % (MOST_SEED - SEEDS), 1 / parameters.factor)
    rounds = Rounds(study, parameters.trials, parameters.at_once)
    model = _hear(run, request, rounds, model)
    wanted = rounds.ask()
    written = study.save(run.folder.outputs / "study.json")
    told = sum(len(one.values) for one in study.trials) + len(study.winners)
    run.events.artifact("study", written, "application/json")
    if wanted:
        over = sum(one.state != "running" for one in study.trials) + len(study.winners)
        run.events.progress(over / (parameters.trials + SEEDS))
        state = written if model is None else keep(written.path, model, run.folder.outputs / "study.zip")
        run.events.checkpoint(state, epoch=told, step=sum(one.tries for one in study.wanted.values()))
        return Asked(children=tuple(_child(request, parameters, names, one) for one in wanted))
    if not study.winners:
        raise TaskError("None of the trainings of the winner came to its end; the log of the children says why.")
    if model is None:
        raise TaskError("None of the winner's models was kept: train one with the settings that study.json names.")
    with new_file(run.folder.outputs / "model.pt") as new:
        shutil.copyfile(model, new.path)
    run.events.artifact("model", new.written, "application/vnd.studio9.model")
    return _result(run, request, parameters, rounds, config, model, names)


def _judged(parameters: TuneParameters, seed: int) -> tuple[TrainingConfig, list[str]]:
    """The training as it is without a trial's settings, and the head's parameters. Raises UserError, naming what can't
    be used or varied, before anything is trained."""
    known = catalogue()
    train = parameters.train.model_dump()
    config = training_config(train, known, seed, begun=False)
    names = [one.name for head in known.heads if head.id == config.head for one in head.parameters]
    with_settings(train, dict.fromkeys(parameters.vary, 0.1), names)
    return config, names


def _hear(run: Run, request: TaskRequest, rounds: Rounds, model: Path | None) -> Path | None:
    """Tells the study of the children that it waits for; others were told of before. `model`: that of the winner's seed
    that had reached most; the one that has now."""
    best = -math.inf if model is None else max(rounds.study.winners.values())
    for child in request.children:
        one = rounds.study.wanted.get(child.name)
        if one is None:
            continue
        if child.state == "completed":
            value = _fitness(run.folder.child(child.name) / "result.json")
            trial = rounds.tell(child.name, value)
            key = f"winner/{one.seed}" if trial is None else f"trial/{trial.number}"
            run.events.metric(key, value, step=one.epochs, split="val")
            if trial is None and value > best:
                best, model = value, _brought(run.folder.child(child.name) / "model.pt")
        elif child.lost and rounds.lost(child.name, child.message):
            run.warn("trial_lost", f"{child.name} was lost and is asked for again: {child.message}")
        elif not child.lost:
            rounds.fail(child.name, child.message)
            run.warn("trial_failed", f"{child.name}: {child.message or child.state}")
    return model


def _fitness(path: Path) -> float:
    try:
        return float(_facts(path)["fitness"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TaskError(f"{path.parent.name} has brought no result ({type(error).__name__}).") from None


def _facts(path: Path) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads(path.read_bytes())
    return facts


def _brought(path: Path) -> Path:
    if not path.is_file():
        raise TaskError(f"{path.parent.name} has brought no {path.name}.")
    return path


def _child(request: TaskRequest, parameters: TuneParameters, names: list[str], one: Wanted) -> AskedChild:
    train = _training(parameters, names, one.settings, one.seed)
    # A job that tries again what another had begun has its state, but not its children: such a trial begins anew.
    known = {child.name for child in request.children}
    before, again = (name if name in known else "" for name in (one.before, one.again))
    return AskedChild(
        name=one.name,
        kind="trial",
        framework=request.framework,
        parameters={
            "framework": parameters.framework,
            "train": train,
            "epochs": one.epochs,
            "judge": one.trial is None,
        },
        seed=one.seed,
        inputs=tuple(name for name in request.inputs if name in HANDED_ON),
        files={STATE: ChildFile(child=before, path=f"{STATE}.pt")} if before and not again else {},
        again=again or None,
        bring=("result.json", "model.pt") if one.trial is None else ("result.json",),
    )


def _training(parameters: TuneParameters, names: list[str], settings: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """The parameters of a training with these settings."""
    train: dict[str, Any] = with_settings(parameters.train.model_dump(mode="json"), settings, names)
    return train | {"head_parameters": train["head_parameters"] | {"seed": seed}}


def _result(
    run: Run,
    request: TaskRequest,
    parameters: TuneParameters,
    rounds: Rounds,
    config: TrainingConfig,
    model: Path,
    names: list[str],
) -> TuneResult:
    winner, facts = rounds.winner, _facts(model.with_name(RESULT))
    reached = rounds.study.winners
    # Of seeds that reached the same the first one's model was kept.
    best = max(reached, key=lambda seed: reached[seed])
    return TuneResult(
        framework=request.framework,
        labels=facts.get("labels", ()),
        val=facts.get("val"),
        parameters=TrainParameters.model_validate(_training(parameters, names, winner.trial.settings, best)),
        trials=tuple(
            TriedSettings(
                number=one.number, settings=one.settings, values=one.values, state=one.state, reason=one.reason
            )
            for one in rounds.study.trials
        ),
        winner=winner.trial.number,
        settings=winner.trial.settings,
        values=winner.values,
        mean=winner.mean,
        spread=winner.spread,
        timings=run.timings(),
        effective=config.model_dump(mode="json"),
        ran=ran(run.threads, run.device),
        warnings=tuple(run.warnings),
    )
