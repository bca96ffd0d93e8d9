"""Settings of a protocol: what they make of its runs, and which are refused."""

from __future__ import annotations

import pytest

from darts_tf.configs import SelectConfig
from darts_tf.errors import InputError


def test_runs_have_the_preset_and_a_sixth_of_the_epochs():
    config = SelectConfig(workdir="all", preset="cifar10", search=("epochs=3",), train=["cells=8"])
    brief, full = config.brief_run(1, "cells.json"), config.full_run(1, 2, "cells.json")
    assert (brief.epochs, full.epochs, config.search_run(1).epochs) == (100, 600, 3)
    assert (brief.cells, full.cells, brief.channels, brief.dataset) == (8, 8, 36, "cifar10")
    assert (brief.validation_split, full.validation_split) == (0.2, 0)
    assert (brief.seed, full.seed, config.search_run(1).seed) == (0, 2, 1)
    assert brief.genotype == full.genotype == "cells.json"
    tiny = SelectConfig(workdir="all", preset="tiny", dataset="cifar10", limit=9, brief_epochs=7)
    once = SelectConfig(workdir="all", preset="tiny", dataset="cifar10")
    assert once.brief_run(0, "").epochs == 1
    assert tiny.brief_run(0, "").epochs == 7
    for run in (tiny.search_run(0), tiny.brief_run(0, ""), tiny.full_run(0, 0, "")):
        assert (run.dataset, run.limit, run.preset) == ("cifar10", 9, "tiny")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"seeds": (1, 1)}, "seeds to name each of one or more once. Received: 1, 1"),
        ({"final_seeds": ()}, "final_seeds to name each .* Received: none"),
        ({"final_seeds": (-1,)}, "final_seeds to be zero or more, .* Received: -1"),
        ({"validation_split": 0.0}, "validation_split above 0, .*validation_split=0.0"),
        ({"validation_split": 1.0}, "validation_split to be from 0 to below 1"),
        ({"preset": "imagenet"}, "preset to be digits or photos or cifar10 or pc-darts or tiny"),
        ({"search": ("epoch=3",)}, "a setting to be one of .*Did you mean 'epochs'"),
        ({"search": ("epochs=0",)}, "epochs to be positive"),
        ({"train": ("seed=3",)}, "seed, .*as settings of the protocol.* Received: seed in train"),
        ({"train": ("auxiliary_weight=-1",)}, "auxiliary_weight to be zero or more"),
        ({"overwrite": True, "resume": True}, "one of overwrite and resume. Received: both"),
    ],
)
def test_bad_settings_are_refused(fields, message):
    with pytest.raises(InputError, match=message):
        SelectConfig(workdir="all", **{"preset": "digits", **fields})


def test_dataset_is_never_guessed_and_decides_the_preset():
    for preset in (None, "tiny"):
        with pytest.raises(InputError, match="Expected dataset: a folder of images"):
            SelectConfig(workdir="all", preset=preset)
    assert SelectConfig(workdir="all", dataset="digits").preset == "digits"
    assert SelectConfig(workdir="all", dataset="photos").search_run(0).flip
