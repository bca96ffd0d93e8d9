"""Studies: trials that KerasTuner's oracles choose, made here or by workers elsewhere."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import pathlib
import time
from collections.abc import Callable, Mapping

import keras
import keras_tuner
import numpy as np

from darts_tf.configs import kind_of
from darts_tf.configs.budgets import Allowance, parsed_allowance
from darts_tf.errors import InputError
from darts_tf.runs import files
from darts_tf.runs import folder as run_folder
from darts_tf.runs.metrics import read_metrics, seconds_of
from darts_tf.runtime import atomic
from darts_tf.runtime.signals import Diverged
from darts_tf.search import early_stopping
from darts_tf.studies.oracles import METHODS, OBJECTIVE, SECONDS, Bounded, epochs, seconds
from darts_tf.studies.workers import await_chief, in_touch, role

WAIT = 0.1
"""Seconds between two questions of a worker for whom there is no trial yet."""


class Outcome(dict):
    """Result of a trial: its validation accuracy, and the seconds that its epochs took."""

    def __init__(self, accuracy: float, took: float):
        super().__init__({OBJECTIVE: accuracy, SECONDS: took})


@dataclasses.dataclass(frozen=True)
class Study:
    """A study: its search space, its trials and its folder.

    Attributes:
        config: settings with `workdir`, `method`, `seed`, `population` and `sample`.
        space: what is chosen.
        allowance: what may be spent.
        epochs_of: the most epochs that a trial with these values takes.
        run: `run(values, name)` makes the trial of that name and says its outcome; a trial that has
            been made before, or begun, is not made again from the start.
        longest: epochs of the longest trial of Hyperband.
        describe: what the table of trials says of values.
        mutate: for evolution; see `oracles.EvolutionOracle`.
    """

    config: object
    space: keras_tuner.HyperParameters
    allowance: Allowance
    epochs_of: Callable[[Mapping[str, object]], int]
    run: Callable[[Mapping[str, object], str], Outcome]
    longest: int
    describe: Callable[[Mapping[str, object]], dict[str, object]]
    mutate: Callable | None = None


class _Tuner(keras_tuner.engine.base_tuner.BaseTuner):
    """Makes the trials of an oracle, which may be in another process."""

    def __init__(self, study: Study, oracle: Bounded):
        folder = study.config.workdir
        super().__init__(oracle, directory=str(folder), project_name=files.ORACLE)
        self.study = study

    def pre_create_trial(self) -> None:
        """KerasTuner asks again at once where no trial can begin yet."""
        if role() == "worker":
            time.sleep(WAIT)

    def run_trial(self, trial) -> Outcome:
        """Makes a trial. One that diverges is worth nothing; whatever else fails ends the study."""
        values = trial.hyperparameters.values
        folder = trial_folder(self.study.config.workdir, trial.trial_id)
        try:
            return self.study.run(values, trial.trial_id)
        except Diverged:
            return Outcome(0.0, seconds_of(folder))
        except Exception as error:
            raise keras_tuner.errors.FatalError(str(error)) from error
        finally:
            keras.backend.clear_session()  # the next network does not need this one's memory

    def on_trial_end(self, trial) -> None:
        """Reports the trial, unless KerasTuner has noted a failure of its own as the trial's."""
        if trial.status != "COMPLETED":
            raise RuntimeError((trial.message or trial.status).strip().splitlines()[-1])
        super().on_trial_end(trial)

    def save(self) -> None:
        """The oracle's state is all that there is."""
        if role() != "worker":
            self.oracle.save()


def studied(study: Study, dataset, ended: Callable[[Bounded, object], None]) -> Bounded:
    """Makes trials until the budget is spent, or has workers make them.

    Where the environment says so (see `role`), this process is the chief, which chooses all trials
    and makes none, or a worker, which makes what the chief chooses. All but a worker write the
    study's folder.

    Args:
        study: what to do; that of a worker must be the chief's.
        dataset: what all trials are on, or None where they differ.
        ended: called with the oracle and a trial whenever one has ended; not in a worker.

    Returns:
        The oracle, with all trials; of a worker one without any.

    Raises:
        InputError: as `folder.started_run`, a budget too small for a trial, or what a trial raises.
    """
    if study.allowance.unit == "epochs" and study.allowance.most < study.epochs_of({}):
        raise InputError(
            f"Expected a budget for one trial at least, of {study.epochs_of({})} epochs. "
            f"Received: {study.config.budget}"
        )
    if role() == "worker":
        return _conduct(study, ended)
    with run_folder.started_run(study.config, dataset) as folder:
        files.write_json(folder / files.CONFIG, study.config.to_dict())  # with its budget of now

        def kept(oracle, trial):
            lines = (json.dumps(files.plain(_table_line(study, each))) for each in oracle.done())
            atomic.write_text(folder / files.TRIALS_TABLE, "".join(f"{line}\n" for line in lines))
            ended(oracle, trial)

        return _conduct(study, kept)


def _table_line(study: Study, trial) -> dict[str, object]:
    return {
        **{"trial": trial.trial_id, OBJECTIVE: trial.score, SECONDS: seconds(trial)},
        "epochs": epochs(trial, study.epochs_of),
        **study.describe(trial.hyperparameters.values),
    }


def _conduct(study: Study, ended: Callable[[Bounded, object], None]) -> Bounded:
    if role() == "worker":
        await_chief()  # it makes the study's folder
        _check_same(study.config)
    oracle = oracle_of(study)
    oracle.verbose = 0
    oracle.bound(study.allowance, study.epochs_of, ended)
    tuner = _Tuner(study, oracle)
    if role() != "worker" and oracle.is_begun():
        oracle.reload()
    try:
        with in_touch(oracle, pathlib.Path(tuner.project_dir)):
            tuner.search()
    except keras_tuner.errors.FatalError as error:
        raise (error.__cause__ or error) from None
    return oracle


def oracle_of(study: Study) -> Bounded:
    """The oracle that a study asks for, which has not chosen anything yet."""
    config = study.config
    options = {
        "objective": keras_tuner.Objective(OBJECTIVE, "max"),
        "hyperparameters": study.space,
        "seed": _spread(config.seed),
        "allow_new_entries": False,
    }
    if config.method == "evolution":
        evolved = {"population": config.population, "sample": config.sample}
        return METHODS["evolution"](**evolved, mutate=study.mutate, **options)
    if config.method == "hyperband":
        longest = {"max_epochs": study.longest, "hyperband_iterations": None}
        return METHODS["hyperband"](**longest, **options)
    if config.method == "bayesian":
        options["num_initial_points"] = config.population
    return METHODS[config.method](max_trials=None, **options)


def _spread(seed: int) -> int:
    """A seed for KerasTuner, which takes 0 for none, and one more for every number it draws.

    The draws of two studies would be each other's, shifted, if their seeds were close.
    """
    return 1 + int(np.random.SeedSequence(seed).generate_state(1)[0])


def _check_same(config) -> None:
    path = pathlib.Path(config.workdir) / files.CONFIG
    if not path.is_file():
        raise InputError(
            f"Expected workdir to be the folder of the chief, on a disk that all machines share. "
            f"Received: {str(config.workdir)!r}, without its {files.CONFIG}"
        )
    begun = files.read_json(path)
    now = config.to_dict()
    run_folder.check_same_settings(path, begun, now, config.may_differ)


def allowance_of(budget: str) -> Allowance:
    """Returns the allowance that the text of a budget stands for.

    Raises:
        InputError: it says no budget, or names a folder without a finished search.
    """
    found = parsed_allowance(budget)
    return Allowance("seconds", _time_of_search(found)) if isinstance(found, str) else found


def _time_of_search(folder: str) -> float:
    settings = files.read_json(pathlib.Path(folder) / files.CONFIG) if files.is_run(folder) else {}
    what = "none there"
    if settings and kind_of(settings).searches:
        config = run_folder.resumed(kind_of(settings), folder)
        lines = read_metrics(config.last_folder)
        done = len(lines) >= config.epochs or early_stopping.decide(config, lines) is not None
        what = f"one without {files.TIMES}" if done else "one that has not finished"
        if done and (found := seconds_of(folder)):
            return found
    raise InputError(
        f"Expected like= to name the folder of a finished search. Received: {folder!r}, {what}"
    )


def trial_folder(workdir: str | os.PathLike[str], name: str) -> pathlib.Path:
    """Returns the folder of a trial's run."""
    return pathlib.Path(workdir) / files.TRIALS / name


def resumable(config, folder: pathlib.Path):
    """The settings of a trial's run, set to resume it where it has been begun.

    What an interrupted beginning has left is no run yet, and is begun anew.
    """
    return dataclasses.replace(config, workdir=folder, overwrite=False, resume=files.is_run(folder))


def finished(folder: pathlib.Path, epochs: int, needs: str) -> Outcome | None:
    """Returns the result of a trial's run if it is finished.

    Args:
        folder: of the run.
        epochs: that it was given.
        needs: the file that a finished run has.
    """
    with contextlib.suppress(InputError):
        metrics = read_metrics(folder)
        if files.is_run(folder) and len(metrics) >= epochs and (folder / needs).is_file():
            return outcome(folder, folder)
    return None


def outcome(folder: pathlib.Path, last: pathlib.Path) -> Outcome:
    """Returns the result of a trial's run that has ended, perhaps before its last epoch.

    Args:
        folder: of the run.
        last: of its last stage, or the same.
    """
    return Outcome(read_metrics(last)[-1][OBJECTIVE], seconds_of(folder))
