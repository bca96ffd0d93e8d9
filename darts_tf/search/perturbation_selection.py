"""Selection by perturbation on a searched supernet: rounds, tuning between them, and resuming."""

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
from darts_tf.runs.metrics import read_metrics
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
"""Initial learning rate of the tuning, relative to that of the search, as in the authors' code. It
decays to the final learning rate of the search."""


class Tuner(Trainer):
    """Trains a supernet's weights with a mixture instead of its alphas.

    Args:
        network: a supernet.
        **settings: keyword arguments of `Trainer`.

    Attributes:
        mixture: list of variables, one of equal shape for each of the supernet's `alphas`.
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
        """Returns the network's outputs with the mixture."""
        with mixed_by(self.mixture):
            return self.network(x, training=training)


@dataclasses.dataclass(frozen=True)
class SelectionSettings:
    """Settings of a selection.

    Attributes:
        epochs: epochs of tuning between two rounds.
        seed: seed of the order of the decisions, and of the choice of images.
        images: maximum number of images for measuring; None for all.
    """

    epochs: int
    seed: int
    images: int | None = None


class Tuning:
    """Epochs of weight training between the rounds of a selection.

    Args:
        trainer: trainer of the search.
        config: settings of the search.
        dataset: dataset of the search.
        half: images that train the weights.
        settings: settings of the selection.
        times: number of tunings in the whole selection.
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
                optimizer=SGD(config.learning_rate, config.momentum),
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
        """Trains for the epochs of the settings, on batches that continue those of the search.

        Args:
            earlier: number of tunings before this one.
            mixture: mixture of the supernet during the training.
        """
        for variable, part in zip(self.tuner.mixture, mixture, strict=True):
            variable.assign(part)
        skipped = int(self.tuner.skipped.numpy())
        for i in range(self.settings.epochs):
            epoch = earlier * self.settings.epochs + i
            self.tuner.optimizer.learning_rate = self._rate(epoch)
            first = (self.config.epochs + epoch) * self.steps
            batches = functools.partial(self.batches, start_step=first)
            iterator = iter(distributed(self.tuner.distribute_strategy, batches))
            for _ in range(self.steps):
                self.step(iterator)
        skipped = int(self.tuner.skipped.numpy()) - skipped
        if skipped:
            LOG.warning("skipped %d steps of the tuning that were not finite", skipped)

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
    """Selects cells by perturbation; resumes a selection with the same settings and alphas.

    The supernet is measured on the half of the images that trains the alphas, and tuned on the
    half that trains the weights, as they were after the last restart. Its weights change.

    Args:
        trainer: trainer of the search, with the initial weights and alphas.
        config: settings of the search.
        dataset: dataset of the search.
        folder: folder of the run.
        settings: settings of the selection.
        report: called after every round with a dict of `round`, `rounds`, `chosen` (descriptions of
            the decisions), `seconds` (of this round) and `seconds_left` (of the selection).

    Returns:
        The selected genotype.

    Raises:
        InputError: there are several workers.
        OSError: a checkpoint could not be written.
    """
    check_alone()
    network = trainer.network
    start = [np.asarray(part) for part in network.mixture()]
    rounds = perturbation.rounds(network.space, settings.seed)
    last = read_metrics(folder)[-1]["epoch"] if config.restart_every else 0
    halves = split_halves(dataset.train, config.seed, config.restarts_before(last))
    measured_images = take(
        halves[1], limited_indices(halves[1].labels, settings.images, config.seed)
    )
    measured = functools.partial(
        evaluation_batches, measured_images, dataset.preprocessing, HELD_OUT_BATCH
    )
    measure = measuring(network, measured)
    tuning = Tuning(trainer, config, dataset, halves[0], settings, len(rounds) - 1)
    checkpoint = SelectionCheckpoint(
        folder / files.SELECTION, tuning.tuner, _identity(settings, network)
    )
    choice, done = checkpoint.newest(perturbation.nothing_decided(network.space))
    began = before = time.monotonic()
    with graphs_forgotten(), graph_optimizer_off():
        for number in range(done, len(rounds)):
            chosen = []
            for decision in rounds[number]:
                choice, words = _decided(choice, decision, start, network.space, measure)
                chosen.append(words)
            if number + 1 < len(rounds):
                tuning.tune(number, perturbation.mixture_of(choice, start, network.space))
            checkpoint.save(number + 1, choice)
            now = time.monotonic()
            if report:
                left = (now - began) / (number + 1 - done) * (len(rounds) - number - 1)
                times = {"seconds": now - before, "seconds_left": left}
                report({"round": number + 1, "rounds": len(rounds), "chosen": chosen, **times})
            before = now
    return perturbation.genotype_of(choice, network.space)


def check_alone() -> None:
    """Checks that there is one worker; call it before a search that ends in a selection.

    Raises:
        InputError: there are several workers.
    """
    if workers() > 1:
        raise InputError(f"Expected one worker for a selection. Received: {workers()} workers")


def _decided(choice, decision, start, space, measure) -> tuple[perturbation.Choice, str]:
    """Makes a decision; returns the new choice and the decision's description, and logs it."""
    choice, without = perturbation.decide(choice, decision, start, space, measure)
    words = perturbation.describe_decision(decision, choice, space, without)
    LOG.info("%s", words)
    return choice, words


def _identity(settings: SelectionSettings, network) -> dict:
    """Returns the settings and a hash of the alphas, which identify a selection of a run."""
    arrays = [np.asarray(alphas) for alphas in network.alphas]
    digest = hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()
    return {**dataclasses.asdict(settings), "alphas": digest}


class SelectionCheckpoint:
    """Checkpoint of an unfinished selection: the decisions and the state of the tuner.

    Args:
        folder: folder of the checkpoint.
        tuner: the tuner.
        identity: what identifies the selection; a checkpoint of another one is ignored.
    """

    def __init__(self, folder: pathlib.Path, tuner: Tuner, identity: dict):
        self.folder, self.tuner, self.identity = folder, tuner, identity

    def newest(self, nothing: perturbation.Choice) -> tuple[perturbation.Choice, int]:
        """Restores the newest checkpoint of this selection.

        Args:
            nothing: the choice without any decision.

        Returns:
            The choice and the number of finished rounds: `nothing` and 0 without a checkpoint.
        """
        newest = checkpoints.newest(self.folder)
        for _, position, identity, arrays in checkpoints.readable(newest):
            state = self.tuner.state()
            wanted = [np.shape(nothing.operations), np.shape(nothing.inputs)]
            wanted += [tuple(variable.shape) for variable in state]
            if identity == self.identity and wanted == [np.shape(array) for array in arrays]:
                for variable, array in zip(state, arrays[2:], strict=True):
                    variable.assign(array)
                LOG.info("resuming the selection after round %d", position.epoch)
                return perturbation.Choice(*arrays[:2]), position.epoch
        return nothing, 0

    def save(self, done: int, choice: perturbation.Choice) -> None:
        """Writes a checkpoint after this number of finished rounds and deletes earlier ones."""
        self.folder.mkdir(exist_ok=True)
        arrays = [choice.operations, choice.inputs]
        arrays += [np.asarray(variable.numpy()) for variable in self.tuner.state()]
        path = checkpoints.write(self.folder, Position(done, 0, 1), self.identity, arrays)
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
    """Selects cells by perturbation, from the last checkpoint and the alphas of a run.

    The run does not change; only the checkpoint of the selection is added to its folder.

    Args:
        config: settings of the search; its `workdir` is the run's folder.
        dataset: dataset of the search.
        build: builds the trainer of the search.
        settings: as in `select`.
        report: as in `select`.

    Returns:
        The selected genotype.

    Raises:
        InputError: as in `select`; or the run has no complete checkpoint of this network or no
            alphas; or another process uses its folder.
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
    raise InputError(f"Expected a complete checkpoint of this search. Received: none in {folder}")
