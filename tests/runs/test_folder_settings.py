"""Files that describe a run, and settings that must not change when it resumes."""

from __future__ import annotations

import dataclasses
import logging
import logging.handlers
import pathlib
import re

import numpy as np
import pytest
from run_folders import begin, contents, dataset, refused

from darts_tf import configs
from darts_tf.errors import InputError
from darts_tf.runs import files
from darts_tf.runs import folder as run_folder
from darts_tf.spaces.zoo import GENOTYPES, load_genotype

LOGGER = logging.getLogger("darts_tf")


@pytest.fixture
def run(tmp_path):
    """A folder in which a run has begun."""
    return begin(tmp_path / "run")


# The files that describe it


def test_begun_describes_the_run_and_what_it_runs_on(tmp_path):
    config = configs.SearchConfig(workdir=tmp_path / "run", channels=4)
    with run_folder.started_run(config, dataset()) as folder:
        assert configs.SearchConfig.from_dict(files.read_json(folder / files.CONFIG)) == config
        assert files.read_json(folder / files.DATASET) == {
            **{"name": "digits", "classes": ["0", "1"], "preprocessing": {"height": 8}},
            **{"images": {"train": 5, "test": 3}, "digest": "0"},
        }
        assert files.is_run(folder)
        assert not (folder / files.GENOTYPE).exists()


def test_begun_keeps_the_genotype_of_a_training(tmp_path):
    config = configs.TrainConfig(workdir=tmp_path / "run", genotype="DARTS_V2")
    with run_folder.started_run(config, dataset(), GENOTYPES["DARTS_V2"]) as folder:
        assert load_genotype(folder / files.GENOTYPE) == GENOTYPES["DARTS_V2"]


# Settings when it resumes


def test_resumed_settings_are_those_the_run_began_with(tmp_path):
    folder = begin(tmp_path / "run", channels=4, checkpoint_steps=7)
    resumed = run_folder.resumed(configs.SearchConfig, str(folder))
    assert resumed == configs.SearchConfig(
        workdir=folder, channels=4, checkpoint_steps=7, resume=True
    )


def test_resumed_settings_of_an_overwriting_run_do_not_overwrite(tmp_path):
    folder = begin(tmp_path / "run", overwrite=True)
    resumed = run_folder.resumed(configs.SearchConfig, folder)
    assert (resumed.overwrite, resumed.resume) == (False, True)


def test_resumed_settings_have_the_folder_that_the_run_is_in_now(run, tmp_path):
    run.rename(tmp_path / "moved")
    resumed = run_folder.resumed(configs.SearchConfig, tmp_path / "moved")
    assert resumed.workdir == tmp_path / "moved"
    assert begin(resumed.workdir, resume=True) == tmp_path / "moved"


def test_resumed_settings_of_another_kind_of_run_are_refused(run):
    with pytest.raises(InputError, match="settings of a training. Received: those of a search$"):
        run_folder.resumed(configs.TrainConfig, run)


OTHERS = {
    **{"preset": "tiny", "epochs": 13, "batch_size": 32, "learning_rate": 0.1, "momentum": 0.8},
    **{"schedule": "linear", "schedule_per": "step", "learning_rate_decay": 0.5},
    **{"warmup_epochs": 2, "learning_rate_min": 0.002},
    **{"weight_decay": 0.0, "clip_norm": 1.0, "crop_padding": 0},
    **{
        "flip": True,
        "cutout": 4,
        "image_size": 16,
        "resize": "squeeze",
        "limit": 9,
        "precision": "mixed_bfloat16",
    },
    **{"jit_compile": "off", "seed": 1, "deterministic": True, "strategy": "mirrored"},
    **{"devices": 2, "sync_batch_norm": True, "checkpoint_steps": 3, "checkpoint_minutes": None},
    **{"profile_steps": "1,2", "space": "s2"},
    **{"keep_checkpoints": 1, "max_bad_images": 2, "max_bad_steps": 1, "channels": 4, "cells": 4},
    **{"arch_gradient": "first_order", "partial_channels": 2, "arch_from_epoch": 1},
    **{"arch_learning_rate": 0.1, "arch_beta_1": 0.6, "arch_beta_2": 0.9},
    **{"restart_every": 2, "restart_warmup": 1, "until_decided": True},
    **{"arch_second_moment": "shared"},
    **{"arch_weight_decay": 0.0, "relaxation": "gumbel", "regularizer": "beta-decay"},
    **{
        "perturb": "random",
        "perturb_radius": 0.1,
        "op_dropout": 0.1,
        "regularizer_weight": 5.0,
        "stages": ("3:8:0", "4:5:0.5"),
    },
    **{"eigenvalue": True, "stop_eigenvalue": True, "stop_window": 2, "stop_factor": 2.0},
    **{
        "stop_from_epoch": 3,
        "stop_skips": 4,
        "alignment_weight": 0.5,
        "stop_operations": 0.2,
        "stop_operations_steps": 3,
        "discretisation_gap": True,
        "max_skips": 2,
    },
    **{
        "method": "second_order",
        "selection": "perturbation",
        "selection_epochs": 2,
        "selection_images": 9,
    },
    **{"budget": "macs=600M", "cost": "macs", "cost_weight": 0.5, "latency_threads": 2},
    **{
        "budget_channels": 8,
        "budget_cells": 8,
        "budget_stem": "imagenet",
        "budget_image_size": 64,
        "latency_table": pathlib.Path("table.json"),
        "latency_of_any_machine": True,
    },
}
"""For every setting of a search another value than its default."""


def test_other_values_are_there_for_every_setting():
    """The exceptions are the dataset, which is checked by itself, and how the folder is used."""
    names = {field.name for field in dataclasses.fields(configs.SearchConfig)}
    assert names == {*OTHERS, "dataset", "workdir", "overwrite", "resume"}
    elsewhere = {"workdir", "overwrite", "resume"}
    assert set(OTHERS) > run_folder.MAY_DIFFER - elsewhere


TESTED_ELSEWHERE = {"epochs", "stop_operations", "until_decided"}  # two need other settings


@pytest.mark.parametrize("name", sorted(set(OTHERS) - run_folder.MAY_DIFFER - TESTED_ELSEWHERE))
def test_resume_with_another_setting_names_it_and_changes_nothing(run, name):
    values = getattr(configs.SearchConfig(workdir=run), name), OTHERS[name]
    then, now = (re.escape(repr(files.plain(value))) for value in values)
    message = (
        rf"Expected {name}={then}, with which the run started \(.*config.json\). "
        rf"Received: {name}={now}$"
    )
    refused(message, run, resume=True, **{name: OTHERS[name]})


def test_resume_until_choices_are_decided_is_refused(tmp_path):
    folder = begin(tmp_path / "run", restart_every=2)
    message = r"Expected until_decided=False, with which.*Received: until_decided=True$"
    refused(message, folder, resume=True, restart_every=2, until_decided=True)


def test_resume_without_the_stop_of_operations_is_refused(tmp_path):
    options = {"stop_operations": 0.2, "arch_gradient": "first_order"}
    folder = begin(tmp_path / "run", **options)
    message = r"Expected stop_operations=0.2, with which.*Received: stop_operations=0.3$"
    refused(message, folder, resume=True, **{**options, "stop_operations": 0.3})


def test_resume_takes_more_epochs_and_stores_them_but_not_fewer(run):
    epochs = configs.SearchConfig(workdir=run).epochs
    refused(f"Expected epochs={epochs}, with which", run, resume=True, epochs=epochs - 1)
    begin(run, resume=True, epochs=epochs + 5)
    assert files.read_json(run / files.CONFIG)["epochs"] == epochs + 5
    refused(f"Expected epochs={epochs + 5}, with which", run, resume=True, epochs=epochs)


def test_resume_takes_no_more_epochs_where_work_follows_the_last(tmp_path):
    options = {"selection": "perturbation", "epochs": 3}
    folder = begin(tmp_path / "run", **options)
    refused("Expected epochs=3, with which", folder, resume=True, **{**options, "epochs": 4})


@pytest.mark.parametrize("name", sorted(set(OTHERS) & run_folder.MAY_DIFFER))
def test_resume_takes_settings_of_how_it_runs(run, name):
    before = contents(run)
    assert begin(run, resume=True, **{name: OTHERS[name]}) == run
    assert contents(run) == before


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"classes": ("0", "2")}, "dataset.json. Received: one with other classes$"),
        ({"train": 6}, "dataset.json. Received: one with other images$"),
        ({"test": 2}, "dataset.json. Received: one with other images$"),
        ({"height": 9, "train": 6}, "with other images and preprocessing$"),
        ({"digest": "1"}, "dataset.json. Received: 'digits', but its images changed since then$"),
        ({"digest": "1", "height": 9}, "'digits', but its images changed since then$"),
        ({"digest": "1", "test": 2}, "Received: one with other images$"),
        ({"name": "mnist"}, "Expected dataset='digits', .* Received: dataset='mnist'$"),
    ],
)
def test_resume_refuses_another_dataset_and_changes_nothing(run, changed, what):
    refused(what, run, dataset(**changed), resume=True)
    assert begin(run, dataset(), resume=True) == run


def test_images_that_changed_their_class_are_changed_images(tmp_path):
    def labelled(labels, digest):
        images = dataset(digest=digest)
        images.train.labels = np.array(labels)
        return images

    folder = begin(tmp_path / "run", labelled([0, 0, 0, 1, 1], "0"))
    other = labelled([0, 0, 1, 1, 1], "1")
    refused("'digits', but its images changed since then$", folder, other, resume=True)


def test_resume_takes_a_run_that_was_begun_before_images_were_hashed(run):
    stored = files.read_json(run / files.DATASET)
    del stored["digest"]
    files.write_json(run / files.DATASET, stored)
    assert begin(run, dataset(digest="1"), resume=True) == run


@pytest.mark.parametrize("text", ["[]", "{}", '"digits"'])
def test_resume_refuses_a_run_that_says_nothing_of_its_dataset(run, text):
    (run / files.DATASET).write_text(text)
    refused("dataset.json. Received: one with other .*classes", run, resume=True)


# The log


def log_of(folder) -> list[str]:
    """Every line of a run's log, without its date and time."""
    return [line.split(" ", 2)[2] for line in (folder / files.LOG).read_text().split("\n")[:-1]]


def test_log_has_what_is_logged_while_the_run_goes_on(tmp_path):
    LOGGER.warning("before")
    handlers, level = list(LOGGER.handlers), LOGGER.level
    with run_folder.started_run(
        configs.SearchConfig(workdir=tmp_path / "run"), dataset()
    ) as folder:
        LOGGER.info("step one")
        logging.getLogger("darts_tf.data").warning("an image\u2028 é")
        logging.getLogger("another").warning("not ours")
        LOGGER.debug("too much")
    LOGGER.warning("after")
    assert log_of(folder) == ["INFO step one", "WARNING an image\u2028 é"]
    assert (LOGGER.handlers, LOGGER.level) == (handlers, level)


def test_log_ends_with_a_run_that_fails(tmp_path):
    handlers, level = list(LOGGER.handlers), LOGGER.level
    config = configs.SearchConfig(workdir=tmp_path / "run")

    def fail():
        with run_folder.started_run(config, dataset()):
            LOGGER.warning("it goes wrong")
            (tmp_path / "run" / files.METRICS).touch()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert log_of(tmp_path / "run") == ["WARNING it goes wrong"]
    assert (LOGGER.handlers, LOGGER.level) == (handlers, level)


def test_log_of_a_resumed_run_goes_on_below_the_earlier_one(tmp_path):
    for resume in (False, True):
        config = configs.SearchConfig(workdir=tmp_path / "run", resume=resume)
        with run_folder.started_run(config, dataset()):
            LOGGER.info("resume: %s", resume)
    assert log_of(tmp_path / "run") == ["INFO resume: False", "INFO resume: True"]


@pytest.fixture
def kept():
    """Yields a handler that buffers the log until a run starts, as the program has."""
    handler = logging.handlers.MemoryHandler(10_000, flushLevel=logging.CRITICAL + 1)
    LOGGER.addHandler(handler)
    yield handler
    LOGGER.removeHandler(handler)
    handler.close()


def test_log_begins_with_what_was_held_back_for_it(tmp_path, kept):
    LOGGER.warning("left out %s", "a.png")
    with run_folder.started_run(
        configs.SearchConfig(workdir=tmp_path / "run"), dataset()
    ) as folder:
        LOGGER.warning("then")
    assert log_of(folder) == ["WARNING left out a.png", "WARNING then"]
    assert LOGGER.handlers == [kept]
    assert kept.target is None


def test_log_of_a_second_run_has_nothing_of_the_first(tmp_path, kept):
    """One process starts two runs, as `darts-tf demo` does."""
    for name in ("first", "second"):
        LOGGER.warning("before the %s", name)
        with run_folder.started_run(
            configs.SearchConfig(workdir=tmp_path / name), dataset()
        ) as folder:
            LOGGER.info("in the %s", name)
        assert log_of(folder) == [f"WARNING before the {name}", f"INFO in the {name}"]
