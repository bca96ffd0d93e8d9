"""Oracles: evolution against a second implementation, budgets, states, and distinct values."""

from __future__ import annotations

import ast
import collections
import inspect

import keras_tuner
import numpy as np
import pytest
from mostly_slow import mostly_slow
from oracle_trials import PLACES, VALUES, end, made, score_of

from darts_tf.studies import oracles
from darts_tf.studies.oracles import METHODS, OBJECTIVE, Bounded, EvolutionOracle

PRIVATE_MEMBERS = (
    "_duplicate",
    "_get_oracle_fname",
    "_get_trial_dir",
    "_random_values",
    "_retry_queue",
    "_save_trial",
)
"""Private members of `keras_tuner.Oracle` that `oracles.py` uses."""


def conducted(oracle, most=1000, tuner="tuner0"):
    """Creates trials until the oracle stops; returns their values."""
    found = []
    while len(found) < most:
        trial = oracle.create_trial(tuner)
        if trial.status == "STOPPED":
            break
        found.append(trial.hyperparameters.values)
        end(oracle, trial)
    return found


def test_evolution_is_algorithm_1(tmp_path):
    """Compares population, tournament and ageing with the algorithm written with a queue."""
    oracle = made(tmp_path, "evolution", ("trials", 40))
    parents = []
    oracle.mutate = lambda values, random: parents.append(values) or mutate(values, random)

    def mutate(values, random):
        place = str(random.integers(PLACES))
        return {**values, place: str((int(values[place]) + 1 + random.integers(3)) % VALUES)}

    population, children = collections.deque(), 0
    for number in range(40):
        assert [t.hyperparameters.values for t in oracle.living()] == [v for v, _ in population]
        before = len(parents)
        trial = oracle.create_trial("tuner0")
        values = trial.hyperparameters.values
        if number >= 8:
            draws = np.random.default_rng([oracle.seed, number])
            drawn = [population[draws.integers(len(population))] for _ in range(3)]
            assert parents[before] == max(drawn, key=lambda member: member[1])[0]
            if len(parents) == before + 1:
                children += 1
                assert values == mutate(parents[before], draws)
        else:
            assert len(parents) == before
        end(oracle, trial)
        population.append((values, score_of(values)))
        if len(population) > 8:
            population.popleft()
    assert children > 20


def test_evolution_finds_an_optimum_sooner_than_chance(tmp_path, monkeypatch):
    for name in ("save", "_save_trial"):  # writing a thousand files would be slow
        monkeypatch.setattr(Bounded, name, lambda *given: None)
    strict = {"population": 20, "sample": 10}  # with fewer, the oldest die without children

    def best(method, seed):
        oracle = made(tmp_path / f"{method}{seed}", method, ("trials", 250), seed, **strict)
        return max(map(score_of, conducted(oracle)))

    evolved, drawn = (
        [best(method, seed) for seed in range(2)] for method in ("evolution", "random")
    )
    assert evolved == [1.0, 1.0]
    assert max(drawn) < 1.0


@mostly_slow((0, 1), "method", METHODS)
def test_every_method_keeps_to_trials_and_tries_nothing_twice(tmp_path, method):
    found = conducted(made(tmp_path, method, ("trials", 12)))
    assert len(found) == 12
    assert len({tuple(sorted(values.items())) for values in found}) == 12


@pytest.mark.parametrize("method", METHODS)
def test_every_method_goes_on_from_its_state(tmp_path, method):
    """Expects the values of an uninterrupted study, the unfinished trial first."""
    whole = conducted(made(tmp_path / "whole", method, ("trials", 10), population=20))
    oracle = made(tmp_path / "parts", method, ("trials", 10), population=20)
    parts = conducted(oracle, most=4)
    under_way = oracle.create_trial("tuner0")
    again = made(tmp_path / "parts", method, ("trials", 10), population=20)
    parts += conducted(again)
    assert parts == whole
    assert under_way.hyperparameters.values == parts[4]
    assert again.end_order == [f"{number:04}" for number in range(10)]


def test_kill_while_the_state_is_written_leaves_the_state_before(tmp_path, monkeypatch):
    oracle = made(tmp_path, "evolution")
    conducted(oracle, most=3)
    state = (tmp_path / "oracle" / "oracle.json").read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr("os.replace", lambda *paths: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            oracle.save()
    assert (tmp_path / "oracle" / "oracle.json").read_bytes() == state
    trial = oracle._get_trial_dir("0003")  # written, but not yet assigned to a worker
    source = tmp_path / "oracle" / "trial_0002" / "trial.json"
    with open(f"{trial}/trial.json", "w") as file:
        file.write(source.read_text().replace("0002", "0003"))
    assert len(made(tmp_path, "evolution").trials) == 3


def test_small_space_ends_a_study_when_all_of_it_has_been_tried(tmp_path):
    hyperparameters = keras_tuner.HyperParameters()
    hyperparameters.Choice("0", ["a", "b", "c"])
    hyperparameters.Fixed("1", "x")
    for method in ("random", "evolution", "bayesian"):
        oracle = made(tmp_path / method, method, hyperparameters=hyperparameters, population=2)
        tried = []
        while (trial := oracle.create_trial("tuner0")).status != "STOPPED":
            tried.append(trial.hyperparameters.values["0"])
            end(oracle, trial, score=0.5)
        assert sorted(tried) == ["a", "b", "c"], method


def test_epochs_are_never_exceeded(tmp_path):
    assert len(conducted(made(tmp_path / "random", "random", ("epochs", 40)))) == 4
    oracle = made(tmp_path / "hyperband", "hyperband", ("epochs", 100))
    given = [values["tuner/epochs"] for values in conducted(oracle)]
    assert 91 < sum(given) <= 100
    assert sorted({*given}) == [1, 3, 9]
    assert oracle.spent() == sum(given)


def test_time_is_counted_over_all_workers_with_what_they_are_at(tmp_path):
    oracle = made(tmp_path, "random", ("seconds", 25))
    first, second = (oracle.create_trial(name) for name in ("one", "two"))
    end(oracle, first, seconds=10.0)
    assert oracle.create_trial("one").status == "RUNNING"  # 10 spent and about 10 under way
    end(oracle, second, seconds=10.0)
    assert (oracle.spent(), oracle.left()) == (20, 5)
    assert oracle.create_trial("two").status == "IDLE"  # 10 more are under way
    assert made(tmp_path, "random", ("seconds", 99)).left() == 79


def test_studies_of_close_seeds_draw_different_numbers(tmp_path):
    """Guards against KerasTuner's numbers, whose n-th depends only on the seed plus n."""
    one, other = (
        [value for values in conducted(oracle) for value in values.values()]
        for oracle in (made(tmp_path / str(seed), "random", seed=seed) for seed in (0, 1))
    )
    for shift in range(3):
        equal = [a == b for a, b in zip(one[shift:], other, strict=False)]
        assert np.mean(equal) < 0.5


def test_evolution_changes_one_hyperparameter_of_any_kind(tmp_path):
    hyperparameters = keras_tuner.HyperParameters()
    hyperparameters.Float("rate", 0.01, 0.1, sampling="log")
    hyperparameters.Int("channels", 2, 8)
    hyperparameters.Fixed("fixed", 1)
    oracle = EvolutionOracle(
        2,
        1,
        objective=keras_tuner.Objective(OBJECTIVE, "max"),
        hyperparameters=hyperparameters,
        seed=1,
    )
    values = {"rate": 0.05, "channels": 4, "fixed": 1}
    for seed in range(20):
        child = oracle.mutate(values, np.random.default_rng(seed))
        assert sum(child[name] != values[name] for name in values) == 1
        assert 0.01 <= child["rate"] <= 0.1
        assert child["fixed"] == 1


@pytest.mark.parametrize("name", PRIVATE_MEMBERS)
def test_private_member_of_keras_tuner_is_still_there(name):
    objective = keras_tuner.Objective(OBJECTIVE, "max")
    assert hasattr(keras_tuner.Oracle(objective), name), (
        f"KerasTuner {keras_tuner.__version__} has no Oracle.{name}, which "
        "darts_tf/studies/oracles.py uses: adapt it, or lower the bound of keras-tuner in setup.py"
    )


def test_private_members_of_keras_tuner_are_those_listed():
    tree = ast.parse(inspect.getsource(oracles))
    used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    defined = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    private = {name for name in used | defined if name.startswith("_") and name[:2] != "__"}
    ours = {name for name in defined if not hasattr(keras_tuner.Oracle, name)}
    assert private - ours == {*PRIVATE_MEMBERS}


def test_keras_tuner_writes_trials_by_the_private_method_that_is_replaced(tmp_path, monkeypatch):
    oracle = made(tmp_path, "random")
    saved = []
    monkeypatch.setattr(Bounded, "_save_trial", lambda self, trial: saved.append(trial.trial_id))
    end(oracle, oracle.create_trial("tuner0"))
    assert {*saved} == {"0000"}
