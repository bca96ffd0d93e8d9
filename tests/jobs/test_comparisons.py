"""Comparisons and the choice of the best cells as functions, on runs without networks."""

from __future__ import annotations

import fake_protocol_runs
import pytest
from given_data import ONE_NODE

import darts_tf
from darts_tf.configs import SearchConfig
from darts_tf.errors import InputError
from darts_tf.jobs import comparisons
from darts_tf.jobs.searches import Search
from darts_tf.runs import files
from darts_tf.runs.folder import started_run
from darts_tf.runs.metrics import append_metrics, append_time
from darts_tf.spaces.zoo import GENOTYPES


@pytest.fixture
def runs(monkeypatch):
    """Settings of all runs, none of which searches or trains: each only leaves its files."""
    made = []

    def leave(config, *given):
        made.append(config)
        config.workdir.mkdir(parents=True, exist_ok=True)
        accuracy = "valid_accuracy" if config.searches else "test_accuracy"
        append_metrics(config.workdir, {"epoch": 0, accuracy: 0.75})
        append_time(config.workdir, 0, 2.0)
        append_time(config.workdir, 1, 1.0)
        GENOTYPES["DARTS_V2"].save(config.workdir / files.GENOTYPE)
        (config.workdir / files.MODEL).touch()
        files.write_json(config.workdir / files.CONFIG, config.to_dict())
        return GENOTYPES["DARTS_V2"]

    monkeypatch.setattr(comparisons, "find_cells", leave)
    monkeypatch.setattr(comparisons, "train_cells", leave)
    return made


def test_costs_are_compared_without_data(tmp_path, monkeypatch, runs, capsys):
    monkeypatch.chdir(tmp_path)
    config = SearchConfig(workdir=tmp_path / "mine", dataset="digits")
    with started_run(config, None, ONE_NODE):
        pass
    search = Search(ONE_NODE, {}, config.workdir, config, None)
    compared = darts_tf.compare_genotypes([search, "DARTS_V2"], image_size=8)
    assert [row.name for row in compared.rows] == ["mine", "DARTS_V2"]
    assert compared.rows[0].params < compared.rows[1].params
    assert repr(compared) == "<Comparison in runs/compare-1: mine, DARTS_V2>"
    assert "| DARTS_V2 |" in compared._repr_markdown_()
    assert runs == []
    with pytest.raises(InputError, match="genotype.save"):
        darts_tf.compare_genotypes([ONE_NODE])


def test_networks_are_trained_where_there_is_data(tmp_path, runs):
    options = {"preset": "tiny", "seeds": [0, 1], "workdir": tmp_path / "all", "verbose": 0}
    compared = darts_tf.compare_genotypes(["DARTS_V1", "DARTS_V2"], "digits", **options)
    places = [run.workdir.relative_to(tmp_path / "all").as_posix() for run in runs]
    assert places == [
        *("DARTS_V1/seed-0", "DARTS_V2/seed-0"),
        *("DARTS_V1/seed-1", "DARTS_V2/seed-1"),
    ]
    assert {(run.dataset, run.epochs, run.limit) for run in runs} == {("digits", 1, 64)}
    assert [row.errors for row in compared.rows] == [(25.0, 25.0)] * 2


def test_methods_are_compared_at_equal_time(tmp_path, runs):
    options = {"preset": "tiny", "budget": "time=10s", "workdir": tmp_path / "all", "verbose": 0}
    methods = ["first_order", "second_order"]
    compared = darts_tf.compare_methods(methods, "digits", against="first_order", **options)
    assert [row.name for row in compared.rows] == methods
    searched = [run for run in runs if run.searches]
    assert [run.epochs for run in searched] == [2, 9, 2, 9]  # a probe, and what 10 s allow
    assert "first_order" in compared._repr_markdown_()


def test_best_of_several_searches_is_trained(tmp_path, monkeypatch):
    made = []

    def leave(config, *given):
        made.append(config)
        config.workdir.mkdir(parents=True, exist_ok=True)
        fake_protocol_runs.leave(config)

    monkeypatch.setattr(comparisons, "find_cells", leave)
    monkeypatch.setattr(comparisons, "train_cells", leave)
    options = {"seeds": [0, 1], "final_seeds": [0], "search": {"channels": 4}, "verbose": 0}
    workdir = tmp_path / "all"
    best = darts_tf.select_genotype("digits", preset="tiny", workdir=workdir, **options)
    assert [run.workdir.parent.name for run in made] == [*["search"] * 2, *["brief"] * 2, "final"]
    assert {run.channels for run in made if run.searches} == {4}
    assert best.genotype == fake_protocol_runs.FOUND[1]
    assert best.training.workdir == workdir / "final/search-1-seed-0"
    assert best.training.data == "digits"
    assert repr(best) == f"<Selection in {workdir}: best of 2 searches>"
    assert "| 1 | 1 | 87.50 |" in best._repr_markdown_()
    assert "<svg" in best.plot()._repr_svg_()
    more = {**options, "final_seeds": [0, 1], "resume": True}
    darts_tf.select_genotype("digits", preset="tiny", workdir=workdir, **more)
    assert len(made) == 6
