"""`darts-tf profile` and `darts-tf derive`, and a search within a budget."""

from __future__ import annotations

import dataclasses
import functools
import json
import re

import numpy as np
import pytest
import tensorflow as tf
from cli_helpers import one_line_of_wrong_use
from mostly_slow import mostly_slow
from numerics import assert_close

from darts_tf.cli.main import main
from darts_tf.configs import SearchConfig, TextSearchConfig
from darts_tf.configs.budgets import parsed_budget
from darts_tf.costs import latency_table
from darts_tf.costs.formulas import METRICS
from darts_tf.costs.parts import all_parts, parts_of
from darts_tf.costs.tables import network_cost
from darts_tf.data import load_dataset
from darts_tf.errors import InputError
from darts_tf.export import profiling
from darts_tf.models.counting import cost_table
from darts_tf.runs import files
from darts_tf.runs import folder as run_folder
from darts_tf.runs.alphas import save_alphas
from darts_tf.search import images, plan
from darts_tf.search.cost_penalty import cost_penalty
from darts_tf.search.target import costs_of, target_of
from darts_tf.spaces.derivation import derive
from darts_tf.spaces.search_spaces import DARTS, SPACES
from darts_tf.spaces.zoo import load_genotype
from darts_tf.training.callbacks import Record

ALPHAS = np.random.default_rng(0).normal(size=(2, 14, 8))
PLAIN = derive(*ALPHAS)


@pytest.fixture(scope="module")
def dataset():
    return load_dataset("digits", limit=32)


@pytest.fixture(scope="module")
def run(tmp_path_factory, dataset):
    """The folder of a search."""
    with run_folder.started_run(
        SearchConfig(workdir=tmp_path_factory.mktemp("run") / "run"), dataset
    ) as folder:
        save_alphas(folder, *ALPHAS)
    return folder


def target(config, **fields):
    return dataclasses.replace(
        target_of(config, config.preset, SPACES[DARTS], 10, (8, 8), 1), **fields
    )


@pytest.fixture
def table(tmp_path, run):
    """A latency table whose latencies are channels times positions, in nanoseconds."""
    parts = all_parts(target(SearchConfig(workdir=run)))
    costs = {part: part.channels * part.height * part.width for part in parts}
    latency_table.save(tmp_path / "table.json", costs, threads=1)
    return tmp_path / "table.json"


def cost(metric, genotype, **fields):
    network = target(SearchConfig(workdir="run"), **fields)
    return network_cost(cost_table(metric, parts_of(network, genotype)), network, genotype)


macs = functools.partial(cost, "macs")


def test_without_a_budget_the_plain_derivation_is_printed(run, tmp_path, capsys):
    assert main(["derive", "--workdir", str(run), "--output", str(tmp_path / "g.json")]) == 0
    assert load_genotype(tmp_path / "g.json") == PLAIN
    assert capsys.readouterr().out == f"{PLAIN}\n\ngenotype: {tmp_path / 'g.json'}\n"


@mostly_slow(1, "channels", [16, 12])
def test_network_is_within_the_budget(run, tmp_path, channels, capsys):
    most = int(0.7 * macs(PLAIN, channels=channels))
    words = ["derive", "--workdir", str(run), "--output", str(tmp_path / "g.json")]
    bound = ["--budget", f"macs={most}", "--budget-channels", str(channels)]
    assert main([*words, *bound]) == 0
    genotype = load_genotype(tmp_path / "g.json")
    found = macs(genotype, channels=channels)
    assert 0.6 * most < found <= most
    assert f"macs={found} of macs={most}: {channels} channels, 5 cells" in capsys.readouterr().out


def test_parameters_are_bounded_too(run, tmp_path):
    words = ["derive", "--workdir", str(run), "--output", str(tmp_path / "g.json")]
    assert main([*words, "--budget", "params=150k"]) == 0
    params = [cost("params", cells) for cells in (load_genotype(tmp_path / "g.json"), PLAIN)]
    assert 100_000 < params[0] <= 150_000 < params[1]


def test_latencies_are_bounded_by_the_table(run, table, tmp_path):
    config = SearchConfig(workdir=run, latency_table=table)
    costs = costs_of(config, "latency", target(config))
    most = int(0.9 * costs.total(PLAIN))
    words = ["derive", "--workdir", str(run), "--output", str(tmp_path / "g.json")]
    words += ["--latency-table", str(table)]
    assert main([*words, "--budget", f"latency={most}ns"]) == 0
    assert costs.total(load_genotype(tmp_path / "g.json")) <= most < costs.total(PLAIN)


def test_settings_of_the_search_hold_for_derive(tmp_path, dataset):
    fields = {"budget_channels": 5, "budget_cells": 3, "budget_image_size": 16}
    with run_folder.started_run(
        SearchConfig(workdir=tmp_path / "run", **fields), dataset
    ) as folder:
        save_alphas(folder, *ALPHAS)
    out = tmp_path / "g.json"
    words = ["derive", "--workdir", str(folder), "--output", str(out)]
    assert main([*words, "--budget", "macs=3M"]) == 0
    assert macs(load_genotype(out), channels=5, cells=3, height=16, width=16) <= 3_000_000


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--budget", "macs=1k"], r"Expected a budget of macs=\d+ or more, which the cheapest"),
        (["--budget", "macs=many"], "Expected a budget as in"),
        (["--budget", "latency=1ms"], "Expected latency_table with latencies"),
        (["--budget", "latency=1ms", "--latency-table", "no.json"], "no.json', which is not there"),
        (["--budget", "macs=1M", "--budget-image-size", "9", "--budget-stem", "imagenet"], "64x64"),
        (["--budget", "macs=1M", "--budget-cells", "2"], "budget_cells to be 3 or more"),
        (["--workdir", "nowhere"], "Received: 'nowhere', which is not there"),
    ],
)
def test_rubbish_is_refused_in_one_line(run, capfd, words, message):
    line = one_line_of_wrong_use(capfd, ["derive", "--workdir", run, *words])
    assert re.search(message, line)


def test_least_budget_is_enough(run, capfd):
    words = ["derive", "--workdir", run, "--budget"]
    line = one_line_of_wrong_use(capfd, [*words, "bytes=1kB"])
    least = line.partition("Expected a budget of ")[2].split()[0]
    assert main([*map(str, words), least]) == 0


def test_table_of_another_network_is_refused_with_what_is_missing(run, table, capfd):
    words = ["derive", "--workdir", run, "--latency-table", table, "--budget", "latency=1ms"]
    line = one_line_of_wrong_use(capfd, [*words, "--budget-channels", 24])
    assert "every part of a network of 24 channels, 5 cells" in line
    assert "stem_cifar 1->72 8x8 stride 1, classifier" in line


def test_table_of_other_threads_is_refused_unless_any_will_do(run, table, capfd):
    words = ["derive", "--workdir", run, "--latency-table", table, "--budget", "latency=1s"]
    line = one_line_of_wrong_use(capfd, [*words, "--latency-threads", 2])
    assert "Expected latencies of threads=2" in line
    assert "Received: threads=1" in line
    anywhere = [*words, "--latency-threads", 2, "--latency-of-any-machine"]
    assert main([str(word) for word in anywhere]) == 0


def test_recurrent_cells_have_no_budget(tmp_path, capfd):
    save_alphas(tmp_path, np.random.default_rng(0).normal(size=(36, 5)))
    settings = TextSearchConfig(workdir=tmp_path, dataset="pydoc")
    files.write_json(tmp_path / files.CONFIG, settings.to_dict())
    assert main(["derive", "--workdir", str(tmp_path)]) == 0
    assert "-> 1 2 3 4 5 6 7 8" in capfd.readouterr().out
    line = one_line_of_wrong_use(capfd, ["derive", "--workdir", tmp_path, "--budget", "macs=1M"])
    assert "Expected a search on images for budget='macs=1M'" in line


# profile


def test_profile_writes_a_table_of_the_network(monkeypatch, tmp_path, capsys):
    asked = []

    def profile(target, threads, seconds, report, space):
        asked.append((threads, seconds))
        return profiling.Profile(dict.fromkeys(all_parts(target), 5), 1.1)

    monkeypatch.setattr(profiling, "profile", profile)
    path = tmp_path / "table.json"
    words = ["--channels", "4", "--cells", "6", "--stem", "imagenet", "--threads", "2"]
    assert main(["profile", "--output", str(path), *words, "--seconds", "0.5"]) == 0
    network = target_of(
        SearchConfig(workdir="run", budget_channels=4, budget_cells=6, budget_stem="imagenet"),
        *("digits", SPACES[DARTS], 1000, (224, 224), 3),
    )
    assert latency_table.load(path, 2).costs == dict.fromkeys(all_parts(network), 5)
    assert asked == [(2, 0.5)]
    first, last = capsys.readouterr().out.splitlines()
    assert "4 channels, 6 cells, imagenet stem, 224x224x3 images, 1000 classes" in first
    assert last.startswith(f"table: {path}, {len(all_parts(network))} parts, runtime")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--stem", "imagenet", "--channels", "1"], "at least 2 channels for the imagenet stem"),
        (["--stem", "imagenet", "--image-size", "32"], "at least 64x64 pixels"),
        (["--seconds", "0"], "seconds to be positive"),
        (["--threads", "-1"], "threads to be positive"),
        (["--output", "."], "Expected output to be a file. Received: ., a folder"),
    ],
)
def test_profile_of_no_network_is_refused(tmp_path, capfd, words, message):
    line = one_line_of_wrong_use(capfd, ["profile", "--output", tmp_path / "t.json", *words])
    assert message in line


# search


def test_search_is_led_by_costs_and_derives_within_the_budget(dataset, tmp_path, monkeypatch):
    """Runs no steps; other tests show that trainers add the penalty."""
    settings = {"budget_channels": 4, "budget_cells": 3}
    settings |= {"budget": "macs=60k", "cost": "params", "cost_weight": 1.0}
    config = SearchConfig.from_preset("tiny", workdir=tmp_path / "run", **settings)
    most, kept = parsed_budget(config.budget).most, config.workdir / files.GENOTYPE

    def fit(trainer, given, folder, feed, callbacks):
        network = target(config, image_channels=1)
        penalty = cost_penalty(costs_of(config, "params", network), 1.0)
        alphas = [tf.constant(array, tf.float32) for array in ALPHAS]
        assert_close(trainer.arch_penalty(alphas), penalty(alphas), 1e-6)
        for variable, array in zip(trainer.network.alphas, ALPHAS, strict=True):
            variable.assign(array)
        (record,) = (callback for callback in callbacks if isinstance(callback, Record))
        record.describe()
        assert macs(load_genotype(kept), channels=4, cells=3) <= most

    monkeypatch.setattr(plan, "fit", fit)
    genotype = images.search_images(config, dataset)
    assert macs(genotype, channels=4, cells=3) <= most < macs(PLAIN, channels=4, cells=3)
    assert load_genotype(kept) == genotype
    kept = files.read_json(config.workdir / files.CONFIG)
    assert (kept["budget"], kept["cost"], kept["cost_weight"]) == ("macs=60k", "params", 1.0)


@mostly_slow(1, "metric", METRICS)
def test_search_within_an_impossible_budget_does_not_begin(dataset, tmp_path, metric):
    config = SearchConfig.from_preset("tiny", workdir=tmp_path / "run", budget=f"{metric}=9")
    with pytest.raises(InputError, match=f"Expected a budget of {metric}=.* or more"):
        images.search_images(config, dataset)
    assert not config.workdir.exists()


def test_search_with_a_table_that_is_none_does_not_begin(dataset, tmp_path):
    (path := tmp_path / "table.json").write_text(json.dumps({"format": 1}))
    settings = {"cost": "latency", "latency_table": path}
    config = SearchConfig.from_preset("tiny", workdir=tmp_path / "run", **settings)
    with pytest.raises(InputError, match="Expected a table of darts-tf profile"):
        images.search_images(config, dataset)
    assert not config.workdir.exists()
