"""Progressive stages: deeper supernets with fewer operations an edge (Chen et al. 2019, P-DARTS).

A staged search is a search for every stage, each a whole run in a folder of its own: its supernet
has new weights and new alphas, and on every edge the operations that were the strongest after the
stage before. The genotype is that of the last.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable

import keras
import numpy as np

from darts_tf.configs import SearchConfig
from darts_tf.data import ImageDataset
from darts_tf.runs import files
from darts_tf.runs import folder as run_folder
from darts_tf.runs.alphas import load_alphas
from darts_tf.runtime.distribution import is_chief
from darts_tf.runtime.signals import Interrupted
from darts_tf.search.images import search_images
from darts_tf.spaces.derivation import weights_of
from darts_tf.spaces.genotype import Genotype
from darts_tf.spaces.search_spaces import SPACES, Space

LOG = logging.getLogger("darts_tf")


def search_as_asked(
    config: SearchConfig,
    dataset: ImageDataset,
    report: Callable[[dict], None] | None = None,
    callbacks: tuple[keras.callbacks.Callback, ...] = (),
    report_selection: Callable[[dict], None] | None = None,
) -> Genotype:
    """Searches in stages where the settings have some, else as `images.search_images`, all at once.

    Args:
        config: the settings.
        dataset: what to search on.
        report: called with every epoch's metrics.
        callbacks: further Keras callbacks.
        report_selection: as there; searches in stages select by strength alone.
    """
    if config.stages:
        return search_in_stages(config, dataset, report, callbacks)
    return search_images(config, dataset, report, callbacks, report_selection=report_selection)


def search_in_stages(
    config: SearchConfig,
    dataset: ImageDataset,
    report: Callable[[dict], None] | None = None,
    callbacks: tuple[keras.callbacks.Callback, ...] = (),
) -> Genotype:
    """Searches in the stages of the settings; resumed, it goes on in the stage that it was in.

    Args:
        config: the settings; `epochs` and `arch_from_epoch` are those of every stage.
        dataset: what to search on.
        report: called with every epoch's metrics.
        callbacks: further Keras callbacks.

    Returns:
        The genotype of the last stage's alphas.

    Raises:
        InputError: as `images.search_images`.
        Interrupted: as there.
        Diverged: as there.
        OSError: as there.
    """
    config = dataclasses.replace(config, dataset=dataset.name)
    space = SPACES[config.space]
    with run_folder.started_run(config, dataset, writes=is_chief()) as folder:
        for number in range(len(config.stages)):
            stage = config.stage(number)
            LOG.info("stage %d: %d cells", number + 1, stage.cells)
            if number:  # the first has all
                alphas = load_alphas(config.stage(number - 1).workdir)[:2]
                count = config.stage_operations[number]
                space = strongest(space, alphas, count, config.relaxation)
            stage = dataclasses.replace(stage, resume=config.resume and files.is_run(stage.workdir))
            try:
                of_stage = space if number else None
                genotype = search_images(stage, dataset, report, callbacks, of_stage)
            except Interrupted as stop:
                message = str(stop).replace(str(stage.workdir), str(config.workdir))
                raise Interrupted(f" in stage {number + 1}{message}", stop.signal) from stop
        if is_chief():
            genotype.save(folder / files.GENOTYPE)
    return genotype


def strongest(space: Space, alphas, count: int, relaxation: str = "softmax") -> Space:
    """The space that keeps on every edge the operations with the largest weights, in their order.

    Args:
        space: of the alphas.
        alphas: an array `(edges, primitives)` for each cell.
        count: how many to keep; `none` is one like all.
        relaxation: a name in `derivation.STRENGTHS`.
    """
    candidates = []
    for cell, rows in zip(space.candidates, alphas, strict=True):
        weights = weights_of(rows, relaxation)
        order = np.argsort(-weights, axis=1, kind="stable")[:, :count]
        kept = zip(cell, np.sort(order, axis=1), strict=True)
        candidates.append(tuple(tuple(names[i] for i in columns) for names, columns in kept))
    return dataclasses.replace(space, candidates=tuple(candidates))
