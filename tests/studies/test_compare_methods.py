"""Methods at equal cost: the duration of each search, repetitions, and the table."""

from __future__ import annotations

import csv
import dataclasses

import pytest

from darts_tf.cli.commands import compare as program
from darts_tf.cli.main import main
from darts_tf.configs import BaselineConfig, CompareConfig, SearchConfig
from darts_tf.configs.methods import METHODS as METHOD_NAMES
from darts_tf.runs import files
from darts_tf.runs.metrics import append_metrics, append_time
from darts_tf.runtime.signals import Diverged, Interrupted
from darts_tf.spaces.zoo import GENOTYPES
from darts_tf.studies.compare_methods import (
    baseline_of,
    check_methods,
    epoch_times,
    epochs_within,
    search_of,
)
from darts_tf.studies.tables import (
    MethodRow,
    method_notes,
    method_table,
    method_to_csv,
    method_to_markdown,
)

METHODS = "first_order,second_order,perturbation,random"


def row(name, errors, collapsed=False):
    count = len(errors)
    costs = {"seconds": (60.0,) * count, "params": (10_000,) * count, "macs": (2_000_000,) * count}
    return MethodRow(name, tuple(errors), **costs, collapsed=(collapsed,) * count)


ROWS = [row("random", (9.0, 10.0, 11.0)), row("better", (1.0, 1.1, 1.2)), row("alike", (9, 11, 10))]


# The table


def test_table_says_how_far_each_method_is_from_the_one_to_beat():
    head, random, better, alike = method_table(ROWS, "random")
    assert head[:4] == ["found by", "test accuracy (%)", "95% interval", "p against random"]
    assert random == [
        "random",
        "90.00 ± 1.00",
        "87.5 to 92.5",
        "",
        "60",
        "2.00",
        "0 of 3",
    ]
    assert better[1:3] == ["98.90 ± 0.10", "98.7 to 99.1"]
    assert 0 < float(better[3]) < 0.05
    assert alike[3] == "1.000"


def test_notes_say_in_words_what_is_significant():
    *_, better, alike = method_notes(ROWS, "random")
    assert better.startswith("better: significantly better than random (p = 0.0")
    assert alike == "alike: no significant difference from random"
    worse = [ROWS[0], row("worse", (20.0, 20.5, 21.0)), row("few", (3.0,))]
    *_, first, second = method_notes(worse, "random")
    assert first.startswith("worse: significantly worse than random")
    assert second == "few: too few seeds, or no spread, for a test"
    assert len(method_notes([row("random", ()), *worse[1:]], "random")) == 2  # no results yet
    assert len(method_notes([ROWS[0], row("none", ())], "random")) == 2


def test_unequal_costs_are_told():
    slow = dataclasses.replace(ROWS[2], seconds=(60.0, 90.0, 120.0))
    assert method_notes([ROWS[0], slow], "random")[-1] == (
        "alike: no significant difference from random; finding its cells took 1.5 times as long"
    )


def test_csv_has_the_numbers_in_full_and_markdown_the_notes():
    first, better, _ = csv.DictReader(method_to_csv(ROWS, "random").splitlines())
    assert (first["seeds"], first["test_error"], first["p_against_random"]) == ("3", "10.0", "")
    assert better["errors"] == "1.00 1.10 1.20"
    assert method_to_markdown(ROWS, "random").count("\n- ") == 4


# Duration of each method


@pytest.mark.parametrize(
    ("seconds", "times", "epochs"),
    [
        (100.0, [30.0, 10.0], 8),  # the first epoch, and seven more
        (99.9, [30.0, 10.0], 7),
        (100.0, [30.0, 10.0, 20.0, 5.0], 5),  # without the 25 s after the probe
        (10.0, [30.0, 10.0], 2),
    ],
)
def test_epochs_fill_the_time(seconds, times, epochs):
    assert epochs_within(seconds, times) == epochs


def config(folder, **fields):
    settings = {"methods": METHODS, "workdir": folder, "seeds": (3,), "budget": "time=100s"}
    return CompareConfig.from_preset("tiny", **{**settings, **fields})


def test_searches_differ_in_their_method_alone(tmp_path):
    given = config(tmp_path, limit=40, search="channels=4,arch_from_epoch=1,epochs=4")
    searches = {
        method: search_of(given, method, tmp_path / "run", 3, 8).to_dict()
        for method in ("first_order", "second_order", "perturbation", "partial_channels")
    }
    plain = searches.pop("first_order")
    assert (plain["channels"], plain["limit"], plain["seed"], plain["epochs"]) == (4, 40, 3, 8)
    assert plain["arch_from_epoch"] == 2  # a quarter of the epochs, as in the settings
    differing = {
        method: {name: value for name, value in search.items() if value != plain[name]}
        for method, search in searches.items()
    }
    assert differing == {
        "second_order": {"arch_gradient": "second_order", "method": "second_order"},
        "perturbation": {"selection": "perturbation", "method": "perturbation"},
        "partial_channels": {"partial_channels": 4, "method": "partial_channels"},
    }


def test_settings_of_a_method_override_those_of_the_comparison(tmp_path):
    given = config(tmp_path, search="relaxation=gumbel,arch_gradient=second_order,channels=4")
    search = search_of(given, "fair", tmp_path / "run", 3, 8)
    assert (search.relaxation, search.arch_gradient) == ("sigmoid", "first_order")
    assert search.channels == 4


def test_all_stands_for_every_method(tmp_path):
    assert config(tmp_path, methods="all").methods == METHOD_NAMES
    check_methods(config(tmp_path, methods="all", search="channels=4"))


def test_epoch_of_a_search_in_stages_takes_the_time_of_all_stages(tmp_path):
    search = search_of(config(tmp_path), "stages", tmp_path / "run", 3, 2)
    for number in range(3):
        (search.stage(number).workdir).mkdir(parents=True)
        for epoch in range(2):
            append_time(search.stage(number).workdir, epoch, 10.0**number * (epoch + 1))
    assert epoch_times(search) == [111.0, 222.0]
    plain = dataclasses.replace(search, stages=(), workdir=search.stage(1).workdir)
    assert epoch_times(plain) == [10.0, 20.0]


def test_baselines_train_by_the_recipe_that_all_are_trained_by(tmp_path):
    given = config(tmp_path, epochs=60, channels=6, population=5, sample=2)
    found = baseline_of(given, "evolution", tmp_path / "run", 3)
    assert (found.channels, found.epochs, found.budget, found.method, found.seed) == (
        *(6, 10, "time=100s", "evolution", 3),
    )
    assert (found.population, found.sample) == (5, 2)
    assert baseline_of(config(tmp_path, trial_epochs=2), "random", tmp_path, 0).epochs == 2


# The comparison


@pytest.fixture
def jobs(monkeypatch):
    """Replaces searches, baselines and trainings by functions that write files; lists the calls."""
    seen = []

    def job(kind, config):
        seen.append((kind, "/".join(config.workdir.parts[-2:]), config))
        if len(seen) == 8:
            raise Interrupted("")
        files.write_json(config.workdir / files.CONFIG, config.to_dict())

    def find(dataset, config):
        job("find", config)
        genotype = GENOTYPES["DARTS_V2" if config.seed else "PDARTS"]
        genotype.save(config.workdir / files.GENOTYPE)
        if isinstance(config, BaselineConfig):
            append_time(config.workdir, 0, 0.5)
            (config.workdir / files.TRIALS / "0000").mkdir(parents=True)
            append_time(config.workdir / files.TRIALS / "0000", 0, 90.0)
            return genotype
        for epoch in range(config.epochs):
            slow = 3 if config.arch_gradient == "second_order" else 1
            append_time(config.workdir, epoch, slow * (10.0 if epoch else 30.0))
        return genotype

    def train(config):
        job("train", config)
        GENOTYPES["DARTS_V2" if config.seed else "PDARTS"].save(config.workdir / files.GENOTYPE)
        accuracy = {"random": 0.4}.get(config.workdir.parent.name, 0.5) + 0.01 * config.seed
        append_metrics(config.workdir, {"epoch": 0, "test_accuracy": accuracy})
        (config.workdir / files.MODEL).touch()

    monkeypatch.setattr(program, "_find", find)
    monkeypatch.setattr(program, "_train", train)
    return seen


def words(folder, *more):
    methods = ["--methods", "first_order,second_order,random", "--seeds", "0,1"]
    return [
        "compare",
        "--preset",
        "tiny",
        "--dataset",
        "digits",
        *methods,
        "--workdir",
        str(folder),
        *more,
    ]


def test_comparison_spends_alike_goes_on_where_it_was_stopped_and_repeats_nothing(
    tmp_path, jobs, capsys
):
    folder = tmp_path / "run"
    assert main(words(folder, "--budget", "time=100s")) == 130
    assert f"; completed work is kept, and --workdir {folder} --resume" in capsys.readouterr().err
    first = [name for _, name, _ in jobs]
    assert first == [
        *("first_order/probe", "first_order/search-0", "first_order/seed-0"),
        *("second_order/probe", "second_order/search-0", "second_order/seed-0"),
        *("random/search-0", "random/seed-0"),
    ]
    searches = {name: config for _, name, config in jobs if isinstance(config, SearchConfig)}
    assert {name: config.epochs for name, config in searches.items()} == {
        **{"first_order/probe": 2, "first_order/search-0": 8},
        **{"second_order/probe": 2, "second_order/search-0": 2},  # 90 + 30 s: the shortest search
    }
    assert main(["compare", "--workdir", str(folder), "--resume"]) == 0
    again = [name for _, name, _ in jobs[8:]]
    assert again[0] == "random/seed-0"
    assert len(again) == 7
    assert not any("probe" in name for name in again)
    with open(folder / "compare.csv", newline="") as file:
        one, two, random = csv.DictReader(file)
    assert (one["test_error"], random["test_error"]) == ("49.5", "59.5")
    assert 0 < float(one["p_against_random"]) < 0.05
    assert (one["search_seconds"], two["search_seconds"]) == ("100.0", "120.0")
    assert random["search_seconds"] == "90.5"
    out = capsys.readouterr().out
    assert "first_order: significantly better than random" in out
    assert out.splitlines()[-1].startswith("table: ")
    done = len(jobs)
    assert main(["compare", "--workdir", str(folder), "--resume", "--seeds", "0"]) == 0
    assert len(jobs) == done


def test_what_diverges_has_reached_nothing_and_the_others_go_on(
    tmp_path, jobs, monkeypatch, capsys
):
    find, train = program._find, program._train

    def diverging(function):
        def run(*given):
            function(*given)
            if given[-1].workdir.parent.name == "second_order":
                raise Diverged("three steps were not finite")

        return run

    monkeypatch.setattr(program, "_find", diverging(find))
    monkeypatch.setattr(program, "_train", diverging(train))
    jobs.append("one more, so that none is interrupted")
    jobs.extend(["another"] * 8)
    folder = tmp_path / "run"
    assert main(words(folder, "--seeds", "0")) == 0
    with open(folder / "compare.csv", newline="") as file:
        found = {line["method"]: line["test_error"] for line in csv.DictReader(file)}
    assert found == {"first_order": "50.0", "second_order": "100.0", "random": "60.0"}
    assert capsys.readouterr().out.count("three steps were not finite") == 3


def test_overwrite_takes_a_comparison_of_methods_with_its_runs(tmp_path, jobs, capsys):
    folder = tmp_path / "run"
    assert main(words(folder)) == 130
    assert main(words(folder)) == 2
    assert "Expected workdir to be a new or empty folder" in capsys.readouterr().err
    jobs.clear()
    assert main(words(folder, "--overwrite")) == 130
    assert len(jobs) == 8


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--search", "chanels=4"], "Did you mean"),
        (["--search", "seed=3,limit=9"], "Received: seed, limit in search"),
        (["--search", "method=fair"], "Received: method in search"),
        (["--methods", "fiar,random"], "Did you mean 'fair'"),
        (["--methods", "all,random"], "to be one of first_order, second_order"),
        (["--search", "channels=3", "--methods", "partial_channels,random"], "partial_channels"),
        (
            ["--search", "space=s2", "--methods", "stages,random"],
            "method stages: Expected stages as",
        ),
        (["--preset", "imagenet"], "preset"),
        (["--budget", "time=soon"], "Expected a budget as in"),
        (["--genotypes", "DARTS_V2"], "one of genotypes and methods"),
    ],
)
def test_bad_settings_are_told_before_anything_begins(tmp_path, jobs, capsys, more, says):
    assert main(words(tmp_path / "run", *more)) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert says in line
    assert jobs == []
    assert not (tmp_path / "run").exists()
