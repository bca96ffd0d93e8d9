"""Configs: checked values, presets with the papers' numbers, and the way to JSON and back."""

from __future__ import annotations

import ast
import copy
import dataclasses
import fractions
import json
import pathlib
import pickle
import typing

import numpy as np
import pytest

from darts_tf import configs
from darts_tf.configs import (
    CompareConfig,
    ExportConfig,
    PredictConfig,
    SearchConfig,
    TextSearchConfig,
    TextTrainConfig,
    TrainConfig,
    base,
)
from darts_tf.configs.presets import EXPECTED, TEXT_TRAIN_PRESETS, TRAIN_PRESETS
from darts_tf.errors import InputError

REQUIRED = {
    configs.SearchConfig: {"workdir": "run"},
    configs.TrainConfig: {"workdir": "run", "genotype": "DARTS_V2"},
    TextSearchConfig: {"workdir": "run"},
    TextTrainConfig: {"workdir": "run", "genotype": "DARTS_V2"},
    configs.CompareConfig: {"workdir": "run", "genotypes": ["DARTS_V1", "DARTS_V2"]},
    configs.BaselineConfig: {"workdir": "run"},
    configs.TuneConfig: {"workdir": "run", "of": "search", "over": ["channels=8,16"]},
    configs.SelectConfig: {"workdir": "run", "dataset": "digits"},
    configs.EvaluateConfig: {"workdir": "run"},
    configs.ExportConfig: {"workdir": "run", "output": "out"},
    configs.PredictConfig: {"model": "run", "images": ["a.png"]},
    configs.InspectConfig: {"genotype": "DARTS_V2"},
    configs.PlotConfig: {"genotype": "DARTS_V2"},
    configs.ServeConfig: {"model": "export"},
    configs.DeriveConfig: {"workdir": "run"},
    configs.ProfileConfig: {"output": "table.json"},
    configs.ImportConfig: {
        **{"checkpoint": "weights.pt", "genotype": "DARTS_V2", "kind": "imagenet"},
        "output": "run",
    },
}
IMAGES = (SearchConfig, TrainConfig, configs.CompareConfig, configs.BaselineConfig)
RUNS = (*IMAGES, TextSearchConfig, TextTrainConfig)
EVERY_PRESET = [(config, name) for config in RUNS for name in config.presets]


@pytest.mark.parametrize("config_class", REQUIRED)
def test_config_survives_json(config_class):
    config = config_class(**REQUIRED[config_class])
    assert config_class.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    assert hash(config) == hash(dataclasses.replace(config))


@pytest.mark.parametrize("config_class", REQUIRED)
def test_every_field_has_a_text_for_its_flag(config_class):
    files = pathlib.Path(configs.__file__).parent.glob("*.py")
    described = set()
    for node in (node for file in files for node in ast.parse(file.read_text()).body):
        if isinstance(node, ast.ClassDef) and node.name in map(_name, config_class.__mro__):
            for field, text in zip(node.body, node.body[1:], strict=False):
                if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr):
                    described.add(field.target.id)
    assert {field.name for field in dataclasses.fields(config_class)} <= described


def _name(config_class):
    return config_class.__name__


def test_paths_become_paths_and_lists_become_tuples():
    config = PredictConfig(model="run", images=["a.png", pathlib.Path("b.png")])
    assert config.model == pathlib.Path("run")
    assert config.images == (pathlib.Path("a.png"), pathlib.Path("b.png"))


# Presets


@pytest.mark.parametrize(("config_class", "name"), EVERY_PRESET)
def test_from_preset_makes_a_valid_config_that_remembers_its_preset(config_class, name):
    config = config_class.from_preset(name, **REQUIRED[config_class], epochs=77)
    assert (config.preset, config.epochs) == (name, 77)
    for field, value in config_class.presets[name].items():
        assert getattr(config, field) == value or field == "epochs"


def test_presets_have_the_names_that_the_flag_takes():
    for config_class in RUNS:
        presets = config_class.presets
        assert tuple(presets) == typing.get_args(typing.get_type_hints(config_class)["preset"])
        own = "digits" if config_class in IMAGES else "pydoc"
        assert presets[own] == {"dataset": own}


def test_train_preset_imagenet_is_the_papers():
    config = TrainConfig.from_preset("imagenet", workdir="run", genotype="DARTS_V2").to_dict()
    expected = {
        **{"channels": 48, "cells": 14, "epochs": 250, "batch_size": 128, "stem": "imagenet"},
        **{"learning_rate": 0.1, "schedule": "exponential", "learning_rate_decay": 0.97},
        **{"momentum": 0.9, "weight_decay": 3e-5, "clip_norm": 5.0, "label_smoothing": 0.1},
        **{"auxiliary": True, "auxiliary_weight": 0.4, "drop_path": 0.0, "flip": True},
        **{"random_resized_crop": True, "color_jitter": True, "schedule_per": "epoch"},
        **{"dataset": "imagenet2012", "cutout": 0, "warmup_epochs": 0},
    }
    assert {name: config[name] for name in expected} == expected


def test_what_a_recipe_reaches_is_told_of_recipes_alone():
    own = {"digits", "photos", "pydoc", "tiny"}
    assert {*TRAIN_PRESETS, *TEXT_TRAIN_PRESETS} - own == set(EXPECTED)


def test_search_preset_ptb_is_the_papers():
    config = TextSearchConfig.from_preset("ptb", workdir="run").to_dict()
    expected = {
        **{"units": 300, "batch_size": 256, "time_steps": 35, "epochs": 50, "learning_rate": 20.0},
        **{"schedule": "constant", "clip_norm": 0.25, "weight_decay": 5e-7, "word_dropout": 0.0},
        **{"embedding_dropout": 0.2, "input_dropout": 0.75, "hidden_dropout": 0.25},
        **{"output_dropout": 0.75, "temporal_regularization": 1e-3, "warmup_epochs": 0},
        **{"activation_regularization": 0.0, "arch_learning_rate": 3e-3, "arch_beta_1": 0.9},
        **{"arch_beta_2": 0.999, "arch_weight_decay": 1e-3, "arch_gradient": "second_order"},
    }
    assert config | expected == config


def test_train_presets_ptb_and_wikitext_are_the_papers():
    given = {"workdir": "run", "genotype": "DARTS_V2"}
    ptb, wikitext = (
        TextTrainConfig.from_preset(name, **given).to_dict() for name in ("ptb", "wikitext-2")
    )
    expected = {
        **{"units": 850, "batch_size": 64, "time_steps": 35, "epochs": 3600, "weight_decay": 8e-7},
        **{"learning_rate": 20.0, "schedule": "constant", "clip_norm": 0.25, "word_dropout": 0.1},
        **{"embedding_dropout": 0.2, "input_dropout": 0.75, "hidden_dropout": 0.25},
        **{"output_dropout": 0.75, "temporal_regularization": 1e-3, "average_after": 5},
        **{"activation_regularization": 0.0, "valid_batch_size": 10, "time_steps_spread": 5.0},
    }
    assert ptb | expected == ptb
    differing = {"units": 700, "hidden_dropout": 0.15, "weight_decay": 5e-7}
    named = {"preset": "wikitext-2", "dataset": "wikitext-2"}
    assert wikitext == ptb | differing | named


def test_search_preset_cifar10_is_the_papers():
    config = SearchConfig.from_preset("cifar10", workdir="run").to_dict()
    expected = {
        **{"arch_gradient": "second_order", "channels": 16, "cells": 8, "epochs": 50},
        **{"batch_size": 64, "learning_rate": 0.025, "learning_rate_min": 0.001},
        **{"momentum": 0.9, "weight_decay": 3e-4, "clip_norm": 5.0},
        **{"arch_learning_rate": 3e-4, "arch_beta_1": 0.5, "arch_beta_2": 0.999},
        **{"arch_weight_decay": 1e-3, "crop_padding": 4, "flip": True, "cutout": 0},
    }
    assert config | expected == config


def test_train_preset_cifar10_is_the_papers():
    config = TrainConfig.from_preset("cifar10", workdir="run", genotype="DARTS_V2").to_dict()
    expected = {
        **{"channels": 36, "cells": 20, "batch_size": 96, "epochs": 600, "stem": "cifar"},
        **{"learning_rate": 0.025, "learning_rate_min": 0.0, "momentum": 0.9},
        **{"weight_decay": 3e-4, "clip_norm": 5.0, "auxiliary": True, "auxiliary_weight": 0.4},
        **{"cutout": 16, "drop_path": 0.2, "label_smoothing": 0.0, "crop_padding": 4},
        **{"flip": True},
    }
    assert config | expected == config


def test_digits_are_never_mirrored_or_blanked():
    for config_class in IMAGES:
        config = config_class(**REQUIRED[config_class])
        assert (config.dataset, config.flip, config.cutout) == ("digits", False, 0)


@pytest.mark.parametrize(("config_class", "name"), EVERY_PRESET)
def test_preset_given_to_a_config_sets_the_other_fields(config_class, name):
    config = config_class(**REQUIRED[config_class], preset=name, epochs=77)
    assert config == config_class.from_preset(name, **REQUIRED[config_class], epochs=77)
    assert dataclasses.replace(config, epochs=99).to_dict() == {**config.to_dict(), "epochs": 99}
    assert pickle.loads(pickle.dumps(config)) == copy.deepcopy(config) == config


def test_field_that_is_given_its_default_value_is_kept():
    tiny = SearchConfig(workdir="run", preset="tiny", epochs=SearchConfig.epochs, limit=None)
    assert (tiny.epochs, tiny.limit, tiny.channels) == (SearchConfig.epochs, None, 2)


def test_stored_settings_without_a_field_do_not_get_it_from_the_preset():
    stored = SearchConfig.from_preset("p-darts", workdir="run").to_dict()
    del stored["stages"], stored["max_skips"]  # a run of an earlier version
    read = SearchConfig.from_dict(stored)
    assert (read.stages, read.max_skips, read.epochs) == ((), None, 25)


def test_unknown_preset_is_named_with_the_known_ones():
    with pytest.raises(
        ValueError,
        match="one of digits, photos, cifar10, pc-darts, p-darts, tiny. Received: preset='cifar'",
    ):
        SearchConfig.from_preset("cifar", workdir="run")
    for preset in ("cifar", ["digits"]):
        with pytest.raises(InputError, match="Expected preset to be one of digits"):
            SearchConfig(preset=preset, workdir="run")


# Bad values


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"channels": 0}, "Expected channels to be positive. Received: channels=0"),
        ({"channels": 1.5}, "Expected channels to be an integer. Received: channels=1.5"),
        ({"channels": "8"}, "Expected channels to be an integer. Received: channels='8'"),
        ({"epochs": True}, "Expected epochs to be an integer. Received: epochs=True"),
        ({"cells": 2}, "Expected cells to be 3 or more. Received: cells=2"),
        ({"batch_size": -1}, "Expected batch_size to be positive"),
        ({"learning_rate": 0.0}, "Expected learning_rate to be positive"),
        ({"learning_rate": float("nan")}, "learning_rate to be a finite number. Received: .*nan"),
        ({"clip_norm": float("inf")}, "clip_norm to be a finite number. Received: .*inf"),
        ({"learning_rate_min": 0.1}, "at most learning_rate=0.025. Received: learning_rate_min"),
        ({"momentum": 1.0}, "momentum to be from 0 to below 1. Received: momentum=1.0"),
        ({"arch_beta_1": -0.1}, "arch_beta_1 to be from 0 to below 1"),
        ({"weight_decay": -1e-4}, "weight_decay to be zero or more"),
        ({"flip": 1}, "flip to be true or false. Received: flip=1"),
        ({"image_size": 4}, "image_size to be 8 or more. Received: image_size=4"),
        ({"image_size": "big"}, "image_size to be an integer or null. Received"),
        ({"limit": 0}, "limit to be positive. Received: limit=0"),
        ({"seed": -1}, "seed to be zero or more"),
        ({"dataset": 3}, "dataset to be a text. Received: dataset=3"),
        ({"workdir": 3}, "workdir to be a path. Received: workdir=3"),
        (
            {"arch_gradient": "second"},
            "one of first_order, second_order, .*Did you mean 'second_order'?",
        ),
        (
            {"preset": "cifar"},
            "Expected preset to be one of digits, photos, cifar10, pc-darts, p-darts, tiny",
        ),
        ({"overwrite": True, "resume": True}, "one of overwrite and resume. Received: both"),
        ({"chanels": 8}, "Expected field to be one of .*Did you mean 'channels'?"),
    ],
)
def test_bad_value_is_rejected_in_one_line(fields, message):
    with pytest.raises(ValueError, match=message) as raised:
        SearchConfig.from_dict({"workdir": "run", **fields})
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("config_class", "other", "message"),
    [
        (SearchConfig, TextSearchConfig, "of a search. Received: those of a search on text$"),
        (TextTrainConfig, TextSearchConfig, "a training on text. Received: those of a search on"),
        (TextTrainConfig, TrainConfig, "of a training on text. Received: those of a training$"),
    ],
)
def test_settings_of_another_command_are_told(config_class, other, message):
    with pytest.raises(ValueError, match=message):
        config_class.from_dict(other(**REQUIRED[other]).to_dict())


def test_inspect_takes_gray_or_colour_images():
    with pytest.raises(
        ValueError, match="Expected image_channels to be 1 or 3 or null. Received: .*2"
    ):
        configs.InspectConfig(genotype="DARTS_V2", image_channels=2)


def test_missing_field_is_named():
    with pytest.raises(ValueError, match="Expected a value for genotype. Received: workdir"):
        TrainConfig.from_dict({"workdir": "run"})


@pytest.mark.parametrize("formats", [(), ("tflite", "tflite"), ("onnx",), "tflite"])
def test_export_formats_are_known_and_given_once(formats):
    with pytest.raises(ValueError, match="Expected format to"):
        ExportConfig(workdir="run", output="out", format=formats)


def test_predict_needs_an_image():
    with pytest.raises(ValueError, match="one image file or more"):
        PredictConfig(model="run", images=())


def test_numpy_numbers_are_numbers():
    config = SearchConfig(workdir="run", channels=np.int64(4), learning_rate=np.float32(0.5))
    assert (config.channels, config.learning_rate) == (4, 0.5)


@pytest.mark.parametrize(
    ("text", "value"),
    [("2k", 2000), (" 1.5M ", 1_500_000), ("0.1", fractions.Fraction(1, 10)), ("3", 3)],
)
def test_an_amount_is_exact(text, value):
    assert base.parsed_amount(text, base.NUMBERS) == value


@pytest.mark.parametrize("text", ["", "k", "1x", "-1", "1e3", "1.", "1" * 19, "٣"])
def test_text_that_is_no_amount_gives_none(text):
    assert base.parsed_amount(text, base.NUMBERS) is None


def test_fields_shared_with_another_kind_are_projected_onto_it(tmp_path):
    config = CompareConfig(workdir=tmp_path, genotypes=("ENAS",), channels=7, seeds=(3, 4))
    shared = config.fields_shared_with(TrainConfig)
    assert (shared["channels"], shared["workdir"]) == (7, tmp_path)
    assert not {"genotypes", "seeds", "genotype", "seed"} & shared.keys()
    assert TrainConfig(**shared, genotype="ENAS").channels == 7
