"""Kinds of runs, recognized by their stored settings."""

from __future__ import annotations

import pytest
from config_of_kind import kinds, of_kind

from darts_tf import configs
from darts_tf.configs.base import JobConfig
from darts_tf.errors import InputError
from darts_tf.runs import files


@kinds()
def test_stored_settings_give_their_kind(kind):
    assert configs.kind_of(of_kind(kind).to_dict()) is kind


@kinds()
def test_a_folder_with_settings_of_any_kind_is_a_run(kind, tmp_path):
    files.write_json(tmp_path / files.CONFIG, of_kind(kind).to_dict())
    assert files.is_run(tmp_path)


@kinds()
def test_kinds_say_what_they_do(kind):
    assert kind.searches + kind.trains + bool(kind.inner_runs) == 1
    assert kind.searches == hasattr(kind, "arch_gradient")
    assert kind.on_text == hasattr(kind, "units")
    assert kind.command in ("search", "train", "select", "compare", "baseline", "tune")


def test_every_config_of_a_run_is_a_kind():
    named = [each for each in vars(configs).values() if isinstance(each, type)]
    jobs = {each for each in named if issubclass(each, JobConfig) and "kind" in vars(each)}
    assert jobs == set(configs.KINDS)
    assert len({kind.kind for kind in configs.KINDS}) == len(configs.KINDS)


@pytest.mark.parametrize(
    ("stored", "kind"),
    [
        ({"workdir": "run", "dataset": "digits", "seed": 0}, configs.SearchConfig),
        ({"workdir": "run", "genotype": "DARTS_V2"}, configs.TrainConfig),
        ({"workdir": "run", "units": 8}, configs.TextSearchConfig),
        ({"workdir": "run", "genotypes": [], "population": 8}, configs.CompareConfig),
    ],
)
def test_runs_of_older_versions_with_fewer_settings_are_recognized(stored, kind):
    assert configs.kind_of(stored) is kind


@pytest.mark.parametrize("stored", [None, [], {}, {"dataset": 1}, "x"], ids=repr)
def test_what_is_no_run_is_refused(stored):
    with pytest.raises(InputError, match="settings of a run"):
        configs.kind_of(stored)
