"""Progressive stages: deeper supernets with fewer operations per edge (Chen et al. 2019, P-DARTS).

A staged search consists of one search per stage, each a complete run in its own folder. The
supernet of a stage starts with new weights and alphas. Its edges have the operations that were the
strongest at the end of the previous stage. The result is the genotype of the last stage.
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
from darts_tf.spaces.genotype import AnyGenotype
from darts_tf.spaces.search_spaces import SPACES, Space

LOG = logging.getLogger("darts_tf")


def search_as_asked(
    config: SearchConfig,
    dataset: ImageDataset,
    report: Callable[[dict], None] | None = None,
    callbacks: tuple[keras.callbacks.Callback, ...] = (),
    report_selection: Callable[[dict], None] | None = None,
) -> AnyGenotype:
    """Searches in stages if the settings have stages, otherwise as `images.search_images`.

    Args:
        config: settings of the search.
        dataset: dataset to search on.
        report: called with the metrics of every epoch.
        callbacks: additional Keras callbacks.
        report_selection: as in `images.search_images`; ignored by searches in stages, which select
            only by the strength of the alphas.

    Returns:
        The derived genotype.
    """
    if config.stages:
        return search_in_stages(config, dataset, report, callbacks)
    return search_images(config, dataset, report, callbacks, report_selection=report_selection)


def search_in_stages(
    config: SearchConfig,
    dataset: ImageDataset,
    report: Callable[[dict], None] | None = None,
    callbacks: tuple[keras.callbacks.Callback, ...] = (),
) -> AnyGenotype:
    """Searches in the stages of the settings. A resumed search continues in its last stage.

    Args:
        config: settings of the search; `epochs` and `arch_from_epoch` apply to every stage.
        dataset: dataset to search on.
        report: called with the metrics of every epoch.
        callbacks: additional Keras callbacks.

    Returns:
        The genotype derived from the alphas of the last stage.

    Raises:
        InputError: as in `images.search_images`.
        Interrupted: as in `images.search_images`.
        Diverged: as in `images.search_images`.
        OSError: as in `images.search_images`.
    """
    config = dataclasses.replace(config, dataset=dataset.name)
    space = SPACES[config.space]
    with run_folder.started_run(config, dataset, writes=is_chief()) as folder:
        for number in range(len(config.stages)):
            stage = config.stage(number)
            LOG.info("stage %d: %d cells", number + 1, stage.cells)
            if number:  # the first stage has all operations
                alphas = load_alphas(config.stage(number - 1).workdir)[: len(space.kinds)]
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
    """Returns the space with the operations of largest weight on every edge, in their order.

    Args:
        space: space of the alphas.
        alphas: an array `(edges, primitives)` for each cell.
        count: operations to keep per edge; `none` counts as an operation.
        relaxation: a name in `derivation.STRENGTHS`.
    """
    candidates = []
    for cell, rows in zip(space.candidates, alphas, strict=True):
        weights = weights_of(rows, relaxation)
        order = np.argsort(-weights, axis=1, kind="stable")[:, :count]
        kept = zip(cell, np.sort(order, axis=1), strict=True)
        candidates.append(tuple(tuple(names[i] for i in columns) for names, columns in kept))
    return dataclasses.replace(space, candidates=tuple(candidates))
