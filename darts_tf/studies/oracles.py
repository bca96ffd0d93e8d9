"""Oracles, which choose the next trial of a study: KerasTuner's, and regularized evolution.

All of them keep to a budget, never try the same values twice, and write their state so that a kill
at any moment leaves a study that goes on.
"""

from __future__ import annotations

import json
import os
import pathlib
import warnings
from collections.abc import Callable, Mapping

import keras_tuner
import numpy as np

from darts_tf.configs.budgets import Allowance
from darts_tf.runtime import atomic

OBJECTIVE = "valid_accuracy"
SECONDS = "seconds"
"""The metrics of a trial: what it reached, and what its epochs took."""

EPOCHS = "tuner/epochs"
"""Hyperparameter in which Hyperband stores the epochs of a trial."""

COLLISIONS = 100
"""Number of repeated values in a row after which a space counts as exhausted."""


class Bounded:
    """Mixin of all oracles; comes before KerasTuner's class in the bases."""

    def bound(
        self,
        allowance: Allowance,
        epochs_of: Callable[[Mapping[str, object]], int],
        ended: Callable[[Bounded, keras_tuner.engine.trial.Trial], None] = lambda *given: None,
    ) -> None:
        """Says what may be spent, before the first trial.

        Args:
            allowance: of all trials by all workers.
            epochs_of: the most epochs that a trial with these values can take; without values, a
                trial of those to come.
            ended: called with the oracle and a trial whenever one has ended.
        """
        self.allowance, self.epochs_of, self.ended = allowance, epochs_of, ended

    def spent(self) -> float:
        """In the unit of the allowance, by the trials that have been begun."""
        if self.allowance.unit == "trials":
            return len(self.trials)
        if self.allowance.unit == "epochs":
            return sum(epochs(trial, self.epochs_of) for trial in self.trials.values())
        return sum(map(seconds, self.done()))

    def left(self) -> float:
        """Returns the rest of the budget, in the unit of the allowance."""
        return max(0.0, self.allowance.most - self.spent())

    def done(self) -> list[keras_tuner.engine.trial.Trial]:
        """The trials that have a result, in the order in which they ended."""
        ended = (self.trials[name] for name in self.end_order)
        return [trial for trial in ended if trial.status == "COMPLETED"]

    def best(self) -> keras_tuner.engine.trial.Trial:
        """The best trial so far, of equals the first."""
        return max(self.done(), key=lambda trial: trial.score)

    def populate_space(self, trial_id: str) -> dict[str, object]:
        """The values of the next trial, which have not been tried, while there is something left.

        Of time there must be more left than the trials under way will take by the mean of those
        before; of epochs, as many as the longest trial.
        """
        if not self._can_pay():  # a worker may be lost, and its trial be for another
            return {"status": "IDLE" if self.ongoing_trials else "STOPPED"}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a Gaussian process that is still coarse
            response = super().populate_space(trial_id)
        values = response.get("values")
        if values and self._duplicate(values):
            values = self._random_values()
            status = "RUNNING" if values else "IDLE" if self.ongoing_trials else "STOPPED"
            return {"status": status, "values": values}
        return response

    def _can_pay(self) -> bool:
        if self.allowance.unit == "epochs":
            return self.left() >= self.epochs_of({})
        if self.allowance.unit == "seconds" and (done := self.done()):
            each = self.spent() / len(done)
            return self.left() > each * len(self.ongoing_trials)
        return self.left() > 0

    def end_trial(self, trial: keras_tuner.engine.trial.Trial) -> None:
        """As KerasTuner does, and tells whoever wants to know."""
        if trial.trial_id in self._retry_queue:  # a worker outlived the chief that is now resumed
            self._retry_queue.remove(trial.trial_id)
        super().end_trial(trial)
        self.save()  # KerasTuner has done so while it was under way
        self.ended(self, self.trials[trial.trial_id])

    @keras_tuner.synchronized
    def forget(self, tuner_id: str) -> None:
        """Waits for a worker no longer; another one gets its trial, or none."""
        self.tuner_ids.discard(tuner_id)
        if trial := self.ongoing_trials.pop(tuner_id, None):
            self._retry_queue.append(trial.trial_id)

    def save(self) -> None:
        """Writes the state whole or not at all."""
        _write(self._get_oracle_fname(), self.get_state())

    def _save_trial(self, trial) -> None:
        _write(pathlib.Path(self._get_trial_dir(trial.trial_id)) / "trial.json", trial.get_state())

    def is_begun(self) -> bool:
        """Returns True if there is a state to resume from."""
        return os.path.exists(self._get_oracle_fname())

    def reload(self) -> None:
        """Goes on from the state that was written; what was under way is to be tried again.

        A trial that was written just before a kill, and is not in the state, is forgotten: it had
        not been handed out.
        """
        super().reload()
        known = {*self.start_order}
        self.trials = {name: trial for name, trial in self.trials.items() if name in known}
        self._retry_queue = [name for name in self._retry_queue if name not in self.end_order]
        for name in self._retry_queue:
            self.trials[name].metrics = type(self.trials[name].metrics)()


def _write(path, state) -> None:
    atomic.write_text(path, json.dumps(state))


def seconds(trial: keras_tuner.engine.trial.Trial) -> float:
    """Returns the seconds that the epochs of a trial took."""
    return float(trial.metrics.get_last_value(SECONDS))


def epochs(trial: keras_tuner.engine.trial.Trial, epochs_of: Callable) -> int:
    """Returns the number of epochs of a trial."""
    values = trial.hyperparameters.values
    return int(values[EPOCHS]) if EPOCHS in values else epochs_of(values)


class RandomOracle(Bounded, keras_tuner.oracles.RandomSearchOracle):
    """Values drawn evenly. Li and Talwalkar 2019: the baseline that a search has to beat."""


class BayesianOracle(Bounded, keras_tuner.oracles.BayesianOptimizationOracle):
    """Values with the highest upper confidence bound by a Gaussian process."""


class HyperbandOracle(Bounded, keras_tuner.oracles.HyperbandOracle):
    """Many short trials, and longer ones of the best of these. Li et al. 2018.

    A longer trial begins from scratch, so that the schedule of its learning rate is a whole one.
    """


class _Evolution(keras_tuner.Oracle):
    """Regularised evolution. Real et al. 2019, algorithm 1.

    The population is the last `population` trials that have ended: whoever is born pushes out the
    oldest, however good. A child is a mutation of the best in a sample of the population, drawn
    with replacement as in the authors' code.

    Args:
        population: how many live, and how many are drawn at random at first.
        sample: how many compete to be a parent.
        mutate: `mutate(values, random)` gives a child's values; by default another value, evenly
            drawn, for one hyperparameter.
        options: of `keras_tuner.Oracle`.
    """

    def __init__(self, population: int, sample: int, mutate: Callable | None = None, **options):
        super().__init__(**options)
        self.population, self.sample = population, sample
        self.mutate = mutate or self._with_one_changed

    def living(self) -> list[keras_tuner.engine.trial.Trial]:
        """The population, the oldest first."""
        return self.done()[-self.population :]

    def populate_space(self, trial_id: str) -> dict[str, object]:
        """The values of the next trial; what is drawn depends on the seed and its number."""
        random = np.random.default_rng([self.seed, len(self.trials)])
        at_first = len(self.trials) < self.population or not self.done()
        values = self._random_values() if at_first else self._child(random)
        return {"status": "RUNNING" if values else "STOPPED", "values": values}

    def _child(self, random: np.random.Generator) -> dict[str, object] | None:
        living = self.living()
        competing = [living[random.integers(len(living))] for _ in range(self.sample)]
        values = max(competing, key=lambda trial: trial.score).hyperparameters.values
        for _ in range(COLLISIONS):  # a child that has lived before has children in its place
            values = self.mutate(values, random)
            if not self._duplicate(values):
                return values
        return None

    def _with_one_changed(self, values, random) -> dict[str, object]:
        changeable = [hp for hp in self.hyperparameters.space if _varies(hp)]
        chosen = changeable[random.integers(len(changeable))]
        value = values[chosen.name]
        while value == values[chosen.name]:
            value = chosen.random_sample(int(random.integers(2**32)))
        return {**values, chosen.name: value}


def _varies(hp) -> bool:
    return hp.prob_to_value(0.0) != hp.prob_to_value(1.0 - 1e-9)


class EvolutionOracle(Bounded, _Evolution):
    """Regularised evolution of values: see `_Evolution` for its arguments."""


METHODS = {
    "random": RandomOracle,
    "evolution": EvolutionOracle,
    "bayesian": BayesianOracle,
    "hyperband": HyperbandOracle,
}
"""The oracles by the names of `--method`."""
