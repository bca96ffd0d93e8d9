"""Selection by perturbation on a searched supernet: measuring, tuning in between, going on."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import logging
import pathlib
import time
from collections.abc import Callable

import keras
import numpy as np

from darts_tf.configs import SearchConfig
from darts_tf.data import (
    Augmentation,
    ImageDataset,
    Split,
    evaluation_batches,
    limited_indices,
    split_halves,
    steps_per_epoch,
    take,
    train_batches,
)
from darts_tf.errors import InputError
from darts_tf.models.mixture import Mixture, measuring, mixed_by
from darts_tf.runs import checkpoints, files
from darts_tf.runs.alphas import load_alphas
from darts_tf.runs.checkpoints import Position
from darts_tf.runs.folder import locked
from darts_tf.runtime.distribution import distributed, workers
from darts_tf.runtime.execution import dtype_policy, graph_optimizer_off, graphs_forgotten
from darts_tf.search import perturbation
from darts_tf.spaces.genotype import Genotype
from darts_tf.training.feeds import HELD_OUT_BATCH
from darts_tf.training.loop import Stepper
from darts_tf.training.optimizers import SGD
from darts_tf.training.schedules import cosine
from darts_tf.training.trainer import Trainer

LOG = logging.getLogger("darts_tf")

SLOWER = 0.1
"""Learning rate at the beginning of the tuning, as a multiple of the search's, by the authors'
code; it goes down to that at the search's end."""


class Tuner(Trainer):
    """Trains a supernet's weights at a mixture that is given, not at its alphas.

    Args:
        network: a supernet.
        **settings: of `Trainer`.

    Attributes:
        mixture: variables, an array for each of the supernet's `alphas`.
    """

    def __init__(self, network, **settings):
        super().__init__(network, **settings)
        self.mixture = [
            self.add_weight(shape=alphas.shape, dtype=alphas.dtype, trainable=False, name="mixture")
            for alphas in network.alphas
        ]

    def _weights_to_train(self):
        return self.network.network_weights

    def call(self, x, training=False):
        """As the network, mixed so."""
        with mixed_by(self.mixture):
            return self.network(x, training=training)


@dataclasses.dataclass(frozen=True)
class SelectionSettings:
    """How cells are selected.

    Attributes:
        epochs: of tuning after every round.
        seed: of the order of the edges.
        images: most of those that is measured on; None for all.
    """

    epochs: int
    seed: int
    images: int | None = None


class Tuning:
    """Epochs of the weights between two rounds of a selection.

    Args:
        trainer: of the search.
        config: the settings of the search.
        dataset: what it searched on.
        half: the images that its weights learn from.
        settings: of the selection.
        times: how often there will be tuning.
    """

    def __init__(
        self,
        trainer: Trainer,
        config: SearchConfig,
        dataset: ImageDataset,
        half: Split,
        settings: SelectionSettings,
        times: int,
    ):
        self.config, self.settings, self.times = config, settings, times
        strategy = trainer.distribute_strategy
        with strategy.scope(), dtype_policy(config.precision):
            self.tuner = Tuner(
                trainer.network,
                weight_decay=config.weight_decay,
                clip_norm=config.clip_norm,
                sync_batch_norm=config.sync_batch_norm,
            )
            self.tuner.compile(
                optimizer=SGD(config.learning_rate, config.momentum, l2=0.0, clip_norm=None),
                loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
                jit_compile=trainer.jit_compile,
            )
        self.steps = steps_per_epoch(half, config.batch_size, strategy.num_replicas_in_sync)
        self.batches = functools.partial(
            train_batches,
            half,
            dataset.preprocessing,
            Augmentation(config.crop_padding, config.flip, config.cutout),
            config.batch_size,
            seed=config.seed,
            epochs=config.epochs + times * settings.epochs,
        )
        self.step = Stepper(self.tuner, self.tuner.train_step)

    def tune(self, earlier: int, mixture: Mixture) -> None:
        """Trains for as many epochs as the settings say, on batches that were not drawn before.

        Args:
            earlier: how often there was tuning.
            mixture: what the supernet is mixed by meanwhile.
        """
        for variable, part in zip(self.tuner.mixture, mixture, strict=True):
            variable.assign(part)
        skipped = int(self.tuner.skipped.numpy())
        for i in range(self.settings.epochs):
            epoch = earlier * self.settings.epochs + i
            self.tuner.optimizer.learning_rate = self._rate(epoch)
            first = (self.config.epochs + epoch) * self.steps
            made = functools.partial(self.batches, start_step=first)
            iterator = iter(distributed(self.tuner.distribute_strategy, made))
            for _ in range(self.steps):
                self.step(iterator)
        skipped = int(self.tuner.skipped.numpy()) - skipped
        if skipped:
            LOG.warning("%d steps of the tuning were not finite and were skipped", skipped)

    def _rate(self, epoch):
        start = SLOWER * self.config.learning_rate
        end = min(start, self.config.learning_rate_min)
        return cosine(epoch, self.times * self.settings.epochs, start, end)


LOG = logging.getLogger("darts_tf")


def select(
    trainer: Trainer,
    config: SearchConfig,
    dataset: ImageDataset,
    folder: pathlib.Path,
    settings: SelectionSettings,
    report: Callable[[dict], None] | None = None,
) -> Genotype:
    """Selects cells by perturbation, from where a selection with these settings was left.

    The supernet is measured on the alphas' half of the images, and tuned on the weights' half. Its
    weights change.

    Args:
        trainer: of the search, with the weights and alphas to begin from.
        config: the settings of the search.
        dataset: what it searched on.
        folder: of the run.
        settings: how to select.
        report: called after every round with `round`, `rounds`, `chosen`, a list of texts,
            `seconds`, and `seconds_left` in all.

    Raises:
        InputError: several workers.
        OSError: a checkpoint could not be written.
    """
    check_alone()
    network = trainer.network
    start = [np.asarray(part) for part in network.mixture()]
    rounds = perturbation.rounds(len(start[0]), settings.seed)
    halves = split_halves(dataset.train, config.seed)
    measured_images = take(
        halves[1], limited_indices(halves[1].labels, settings.images, config.seed)
    )
    measured = functools.partial(
        evaluation_batches, measured_images, dataset.preprocessing, HELD_OUT_BATCH
    )
    measure = measuring(network, measured)
    tuning = Tuning(trainer, config, dataset, halves[0], settings, len(rounds) - 1)
    checkpoint = SelectionCheckpoint(
        folder / files.SELECTION, tuning.tuner, _described(settings, network)
    )
    choice, done = checkpoint.newest(perturbation.nothing_decided(len(start[0])))
    began = before = time.monotonic()
    with graphs_forgotten(), graph_optimizer_off():
        for number in range(done, len(rounds)):
            chosen = []
            for decision in rounds[number]:
                choice, words = _decided(choice, decision, start, network.space, measure)
                chosen.append(words)
            if number + 1 < len(rounds):
                tuning.tune(number, perturbation.mixture_of(choice, start))
            checkpoint.save(number + 1, choice)
            now = time.monotonic()
            if report:
                left = (now - began) / (number + 1 - done) * (len(rounds) - number - 1)
                times = {"seconds": now - before, "seconds_left": left}
                report({"round": number + 1, "rounds": len(rounds), "chosen": chosen, **times})
            before = now
    return perturbation.genotype_of(choice, network.space)


def check_alone() -> None:
    """Refuses to select where several workers share the work, before they begin.

    Raises:
        InputError: there are several.
    """
    if workers() > 1:
        raise InputError(f"Expected one worker for a selection. Received: {workers()} of them")


def _decided(choice, decision, start, space, measure) -> tuple[perturbation.Choice, str]:
    """The choice with one decision more, and that in words, which are logged."""
    choice, without = perturbation.decide(choice, decision, start, space, measure)
    words = perturbation.describe_decision(decision, choice, space, without)
    LOG.info("%s", words)
    return choice, words


def _described(settings: SelectionSettings, network) -> dict:
    """What a selection depends on, beside the run that it belongs to."""
    arrays = [np.asarray(alphas) for alphas in network.alphas]
    digest = hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()
    return {**dataclasses.asdict(settings), "alphas": digest}


class SelectionCheckpoint:
    """The checkpoint of a selection under way: what is decided, and the state of the tuner."""

    def __init__(self, folder: pathlib.Path, tuner: Tuner, described: dict):
        self.folder, self.tuner, self.described = folder, tuner, described

    def newest(self, nothing: perturbation.Choice) -> tuple[perturbation.Choice, int]:
        """What is decided, after how many rounds; nothing where there is no such selection."""
        newest = checkpoints.newest(self.folder)
        for _, position, described, arrays in checkpoints.readable(newest):
            state = self.tuner.state()
            wanted = [np.shape(nothing.operations), np.shape(nothing.inputs)]
            wanted += [tuple(variable.shape) for variable in state]
            if described == self.described and wanted == [np.shape(array) for array in arrays]:
                for variable, array in zip(state, arrays[2:], strict=True):
                    variable.assign(array)
                LOG.info("the selection goes on after round %d", position.epoch)
                return perturbation.Choice(*arrays[:2]), position.epoch
        return nothing, 0

    def save(self, done: int, choice: perturbation.Choice) -> None:
        """Replaces the checkpoint."""
        self.folder.mkdir(exist_ok=True)
        arrays = [choice.operations, choice.inputs]
        arrays += [np.asarray(variable.numpy()) for variable in self.tuner.state()]
        path = checkpoints.write(self.folder, Position(done, 0, 1), self.described, arrays)
        for earlier in checkpoints.newest(self.folder):
            if earlier != path:
                earlier.unlink(missing_ok=True)


def select_again(
    config: SearchConfig,
    dataset: ImageDataset,
    build: Callable[[], Trainer],
    settings: SelectionSettings,
    report: Callable[[dict], None] | None = None,
) -> Genotype:
    """Selects cells by perturbation on the last checkpoint of a run, and its alphas.

    Nothing of the run changes, but for the checkpoint of the selection.

    Args:
        config: the settings of the search; its `workdir` is the run's folder.
        dataset: what it searched on.
        build: makes its trainer.
        settings: as in `select`.
        report: as there.

    Raises:
        InputError: as there; or the run has no whole checkpoint of such a network, no alphas, or
            another process is in its folder.
    """
    folder = pathlib.Path(config.workdir)
    with locked(folder):
        with dtype_policy(config.precision):
            trainer = build()
        _restore(trainer, folder / files.CHECKPOINTS)
        for variable, alphas in zip(trainer.network.alphas, load_alphas(folder), strict=True):
            variable.assign(alphas)
        return select(trainer, config, dataset, folder, settings, report)


def _restore(trainer: Trainer, folder: pathlib.Path) -> None:
    state = trainer.state()
    for *_, arrays in checkpoints.readable(checkpoints.newest(folder)):
        if [tuple(variable.shape) for variable in state] == [np.shape(array) for array in arrays]:
            for variable, array in zip(state, arrays, strict=True):
                variable.assign(array)
            return
    raise InputError(f"Expected a whole checkpoint of this search. Received: none in {folder}")
