"""Ways to find cells, each at the same cost: searches by gradients, and baselines.

`presets.METHODS` names them all. A search is given as many epochs as the time allows, by what two
epochs of it have taken; a baseline tries cells until the time is spent.
"""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Sequence

from darts_tf.configs import BaselineConfig, CompareConfig, SearchConfig
from darts_tf.configs.presets import GRADIENTS
from darts_tf.configs.ranges import assigned
from darts_tf.errors import InputError
from darts_tf.names import listed

PROBED = 2
"""Epochs of the run that says how long a search's epochs take: the first is longer than others."""


def search_of(
    config: CompareConfig, method: str, folder: pathlib.Path, seed: int, epochs: int
) -> SearchConfig:
    """The settings of a search by a method.

    Args:
        config: of the comparison.
        method: a name in `presets.GRADIENTS`.
        folder: of the run.
        seed: of the run.
        epochs: of the run. Before the alphas move pass as many of them in proportion as by the
            preset.

    Raises:
        InputError: settings that cannot be.
    """
    searched = assigned(SearchConfig, config.search)
    if elsewhere := [name for name in searched if name in OWN]:
        raise InputError(
            f"Expected {listed(OWN)} as settings of the comparison, which are those of all runs. "
            f"Received: {listed(elsewhere)} in search"
        )
    names = {field.name for field in dataclasses.fields(SearchConfig)}
    shared = {name: getattr(config, name) for name in SHARED if name in names}
    given = {**shared, **searched, **GRADIENTS[method]}
    plain = SearchConfig.from_preset(config.preset, **given, workdir=folder, seed=seed)
    waits = plain.arch_from_epoch * epochs // plain.epochs
    return dataclasses.replace(plain, epochs=epochs, arch_from_epoch=waits)


OF_IMAGES = ("dataset", "limit", "image_size", "max_bad_images")
OWN = (*OF_IMAGES, "seed")
"""Settings of runs which a comparison has settings of its own for."""

SHARED = (*OF_IMAGES, "precision", "jit_compile", "strategy", "devices", "deterministic")
"""Settings that searches have from the comparison: of the images and of the machine."""


def baseline_of(
    config: CompareConfig, method: str, folder: pathlib.Path, seed: int
) -> BaselineConfig:
    """The settings of a baseline: its cells are trained as those of all methods are, for less long.

    Args:
        config: of the comparison.
        method: a name in `presets.BASELINES`.
        folder: of the study.
        seed: of the study.
    """
    names = {field.name for field in dataclasses.fields(BaselineConfig)}
    recipe = {name: value for name, value in vars(config).items() if name in names}
    epochs = config.trial_epochs or max(1, config.epochs // 6)
    own = {"method": method, "budget": config.budget, "seed": seed, "workdir": folder}
    # a schedule of fewer epochs has no room for as long a warm-up
    own |= {"epochs": epochs, "warmup_epochs": min(config.warmup_epochs, epochs - 1)}
    return BaselineConfig(**{**recipe, **own, "overwrite": False, "resume": False})


def epochs_within(seconds: float, times: Sequence[float]) -> int:
    """How many epochs of a search fit into a time, at least `PROBED` of them.

    Args:
        seconds: that may pass.
        times: of the epochs of its probe, and of whatever else it did in the end.
    """
    first, *each = times[:PROBED]
    rest = seconds - first - sum(times[PROBED:])
    return max(PROBED, 1 + int(rest // max(each)))
