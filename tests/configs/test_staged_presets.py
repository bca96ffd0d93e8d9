"""Presets and numbers of cells in the space of NAS-Bench-201."""

from __future__ import annotations

import pytest

from darts_tf.configs import BaselineConfig, SearchConfig, TrainConfig, preset_fields
from darts_tf.configs.images import training_recipe
from darts_tf.errors import InputError
from darts_tf.spaces.genotype import EdgeGenotype, Genotype
from darts_tf.spaces.search_spaces import NAS_BENCH_201

CELL = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|skip_connect~0|nor_conv_3x3~1|none~2|"
SPACE = {"workdir": "run", "space": NAS_BENCH_201}


@pytest.mark.parametrize(
    ("preset", "cells"), [("digits", 1), ("photos", 1), ("tiny", 1), ("cifar10", 5)]
)
def test_presets_set_the_cells_of_each_stage(preset, cells):
    assert SearchConfig(**SPACE, preset=preset).cells == cells
    assert SearchConfig.from_preset(preset, **SPACE).cells == cells
    config = TrainConfig(workdir="run", preset=preset, genotype=CELL)
    assert config.cells == cells
    assert TrainConfig.from_preset(preset, workdir="run", genotype=CELL).cells == cells
    assert training_recipe(preset, EdgeGenotype)["cells"] == cells


def test_recipe_of_cifar10_is_the_benchmarks():
    """Dong and Yang 2020, table 2."""
    config = TrainConfig(workdir="run", preset="cifar10", genotype=CELL)
    expected = {
        **{"channels": 16, "cells": 5, "epochs": 200, "batch_size": 256, "cutout": 0},
        **{"learning_rate": 0.1, "learning_rate_min": 0.0, "weight_decay": 5e-4},
        **{"momentum": 0.9, "flip": True, "crop_padding": 4, "schedule": "cosine"},
        **{"auxiliary": False, "drop_path": 0.0},
    }
    assert {name: getattr(config, name) for name in expected} == expected
    search = SearchConfig(**SPACE, preset="cifar10")
    assert (search.channels, search.cells, search.epochs) == (16, 5, 50)


def test_settings_that_are_given_stay():
    assert SearchConfig(**SPACE, cells=2).cells == 2
    config = TrainConfig(workdir="run", preset="cifar10", genotype=CELL, cells=3, cutout=16)
    assert (config.cells, config.cutout, config.channels) == (3, 16, 16)


def test_cells_of_darts_have_their_presets_as_before():
    assert SearchConfig(workdir="run", preset="cifar10").cells == 8
    assert TrainConfig(workdir="run", preset="cifar10", genotype="DARTS_V2").cells == 20
    assert "cells" not in preset_fields(TrainConfig, "digits", {"genotype": "DARTS_V2"})
    assert training_recipe("p-darts", Genotype)["cells"] == 20
    assert TrainConfig(workdir="run", genotype="no such file").cells == 5


def test_baselines_have_the_cells_of_their_space():
    assert BaselineConfig(**SPACE).cells == 1
    assert BaselineConfig(**SPACE, preset="cifar10").cells == 5
    assert BaselineConfig(workdir="run").cells == 5
    with pytest.raises(InputError, match="Expected cells to be 3 or more. Received: cells=1"):
        BaselineConfig(workdir="run", cells=1)
    with pytest.raises(InputError, match="space"):
        BaselineConfig(workdir="run", space="s2")


def test_one_cell_per_stage_is_enough_in_this_space_alone():
    with pytest.raises(InputError, match="Expected cells to be 3 or more. Received: cells=1"):
        SearchConfig(workdir="run", cells=1)
    with pytest.raises(InputError, match="Expected cells to be positive. Received: cells=0"):
        SearchConfig(**SPACE, cells=0)


def test_stages_have_as_many_operations_as_the_space():
    stages = ("1:5:0", "2:3:0.4")
    assert SearchConfig(**SPACE, stages=stages).stage(1).cells == 2
    with pytest.raises(InputError, match="1 cells or more .* 5 in the first"):
        SearchConfig(**SPACE, stages=("1:8:0",))
    with pytest.raises(InputError, match="5 in the first"):
        SearchConfig(**SPACE, preset="p-darts")
