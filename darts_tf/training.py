"""Training and testing the network of a genotype."""

from __future__ import annotations

import dataclasses
import functools
import pathlib
from collections.abc import Callable

import keras
import tensorflow as tf

from darts_tf import runs
from darts_tf.callbacks import DropPathRamp, Record, of_every_run
from darts_tf.configs import TrainConfig
from darts_tf.data import (
    Augmentation,
    ColorJitter,
    ImageDataset,
    Preprocessing,
    as_read_by,
    evaluation_batches,
    load_dataset,
    steps_per_epoch,
    train_batches,
)
from darts_tf.distribution import is_chief, make_strategy
from darts_tf.errors import InputError
from darts_tf.execution import compiles
from darts_tf.files import replacing
from darts_tf.fitting import begun, fit
from darts_tf.genotype import Genotype
from darts_tf.network import Network, build_network, load_network, logits_of
from darts_tf.optimizers import SGD
from darts_tf.stems import check_image_size
from darts_tf.trainer import Trainer


def train(
    config: TrainConfig,
    genotype: Genotype,
    dataset: ImageDataset,
    report: Callable[[dict], None] | None = None,
    callbacks: tuple[keras.callbacks.Callback, ...] = (),
) -> dict[str, float]:
    """Trains a genotype's network from scratch on all training images, and keeps it.

    Makes the run's folder, and writes metrics and checkpoints into it, at least after every epoch,
    and the network at the end. The test split is only watched: nothing is chosen by it.

    Args:
        config: the settings.
        genotype: the cells.
        dataset: what to train and test on.
        report: called with every epoch's metrics.
        callbacks: further Keras callbacks.

    Returns:
        The metrics of the last epoch, `test_accuracy` among them.

    Raises:
        InputError: images too small, a batch larger than the training split, or a folder that is
            in use; nothing has been written then. Or what is to be resumed was begun with other
            settings.
        Interrupted: Ctrl-C or SIGTERM came; a checkpoint has been written.
        Diverged: losses or gradients were not finite, again after going back once.
        OSError: a file could not be written; earlier checkpoints are as they were.
    """
    config = dataclasses.replace(config, dataset=dataset.name)
    strategy = make_strategy(config.strategy, config.devices)
    preprocessing = dataset.preprocessing
    check_image_size(preprocessing.height, preprocessing.width, config.stem)
    steps = steps_per_epoch(dataset.train, config.batch_size, strategy.num_replicas_in_sync)
    build = functools.partial(
        build_trainer, config, genotype, len(dataset.classes), preprocessing.channels
    )
    with begun(config, dataset, strategy, build, genotype) as (folder, trainer):
        record = Record(folder, dict, report, held_out="test", writes=is_chief())
        ramp = [DropPathRamp(config.drop_path, config.epochs)] if config.drop_path else []
        fit(
            trainer,
            config,
            folder,
            batches=functools.partial(
                train_batches,
                dataset.train,
                preprocessing,
                augmentation_of(config),
                config.batch_size,
                seed=config.seed,
                epochs=config.epochs,
            ),
            steps=steps,
            held_out=dataset.test,
            preprocessing=preprocessing,
            callbacks=[*ramp, *of_every_run(config, record), *callbacks],
        )
        if is_chief():
            with replacing(folder / runs.MODEL) as path:
                trainer.network.save(path)
    return runs.read_metrics(folder)[-1]


def augmentation_of(config: TrainConfig) -> Augmentation:
    """What is done at random to the training images."""
    crop = config.random_resized_crop
    return Augmentation(
        crop_padding=0 if crop else config.crop_padding,
        flip=config.flip,
        cutout=config.cutout,
        random_resized_crop=crop,
        color_jitter=ColorJitter() if config.color_jitter else None,
    )


def dataset_of(config: TrainConfig, limit: int | None = None) -> ImageDataset:
    """The dataset of a run, in the form that its augmentation needs.

    Args:
        config: the run's settings.
        limit: most images of each split; None takes as many as the run does.
    """
    return load_dataset(
        config.dataset,
        image_size=config.image_size,
        limit=limit or config.limit,
        seed=config.seed,
        max_bad_images=config.max_bad_images,
        streamed=config.random_resized_crop,
    )


class NetworkTrainer(Trainer):
    """Trains an evaluation network, its auxiliary head along with it.

    Args:
        network: of a genotype.
        auxiliary_weight: factor of the auxiliary head's loss, if the network has one.
        **settings: of `Trainer`.
    """

    def __init__(self, network: Network, auxiliary_weight: float = 0.4, **settings):
        super().__init__(network, **settings)
        self.auxiliary_weight = auxiliary_weight
        names = ("auxiliary_loss", "total_loss") if network.auxiliary_head else ()
        self.parts = [keras.metrics.Mean(name) for name in names]

    @property
    def metrics(self):
        """As `Trainer.metrics`, with an auxiliary head its loss and the sum too."""
        return [*super().metrics, *self.parts]

    def objective(self, labels, outputs):
        """The loss of the logits, and of the auxiliary ones by its weight (sec. A.2)."""
        loss = self.losses_of(labels, self.logits(outputs))
        if not self.parts:
            return loss, {"loss": loss}
        auxiliary = self.losses_of(labels, outputs["auxiliary"])
        total = loss + self.auxiliary_weight * auxiliary
        return total, {"loss": loss, "auxiliary_loss": auxiliary, "total_loss": total}

    def logits(self, outputs):
        """Those of the head at the end."""
        return logits_of(outputs)


def build_trainer(
    config: TrainConfig, genotype: Genotype, classes: int, image_channels: int
) -> NetworkTrainer:
    """The compiled trainer of a genotype's new network."""
    network = build_network(
        genotype,
        config.channels,
        config.cells,
        classes,
        stem=config.stem,
        auxiliary=config.auxiliary,
        image_channels=image_channels,
        drop_path=config.drop_path,
    )
    trainer = NetworkTrainer(
        network,
        config.auxiliary_weight,
        weight_decay=config.weight_decay,
        clip_norm=config.clip_norm,
        sync_batch_norm=config.sync_batch_norm,
    )
    trainer.compile(
        optimizer=SGD(config.learning_rate, config.momentum, l2=0.0, clip_norm=None),
        loss=cross_entropy(config.label_smoothing),
        metrics=[keras.metrics.SparseCategoricalAccuracy("accuracy")],
        jit_compile=compiles(config.jit_compile),
    )
    return trainer


def cross_entropy(label_smoothing: float) -> Callable:
    """A loss of integer labels and logits that spreads a share of each label over all classes."""

    def loss(labels, logits):
        one_hot = tf.one_hot(tf.cast(tf.reshape(labels, [-1]), tf.int32), logits.shape[-1])
        return keras.losses.categorical_crossentropy(
            one_hot, logits, from_logits=True, label_smoothing=label_smoothing
        )

    return loss


def load_run(workdir: pathlib.Path) -> tuple[Network, Preprocessing, tuple[str, ...]]:
    """The network of a training run, how it reads images, and the names of its classes.

    Raises:
        InputError: no finished training run in the folder.
    """
    network = load_network(runs.existing(workdir, runs.MODEL))
    classes, preprocessing = runs.read_dataset(runs.existing(workdir, runs.DATASET))
    return network, Preprocessing.from_dict(preprocessing), classes


def evaluate(
    workdir: pathlib.Path, *, batch_size: int = 256, limit: int | None = None
) -> dict[str, float]:
    """Tests the network of a training run on the test split of its dataset.

    Args:
        workdir: folder of the run.
        batch_size: images in a step; the result does not depend on it.
        limit: use at most so many images; by default as many as the run did.

    Returns:
        `test_loss`, `test_accuracy` and `test_images`.

    Raises:
        InputError: no finished training run in the folder, or its dataset has changed.
    """
    network, preprocessing, classes = load_run(workdir)
    config = TrainConfig.from_dict(runs.read_json(pathlib.Path(workdir) / runs.CONFIG))
    dataset = dataset_of(config, limit)
    if dataset.classes != classes:
        raise InputError(
            f"Expected the dataset to have the classes of the run, {', '.join(classes)}. "
            f"Received: {', '.join(dataset.classes)}"
        )
    split = as_read_by(preprocessing, dataset.test)
    return accuracy_and_loss(network, split, preprocessing, batch_size)


def accuracy_and_loss(network, split, preprocessing, batch_size=256) -> dict[str, float]:
    """Loss and accuracy of a network on a split: `test_loss`, `test_accuracy`, `test_images`."""
    loss, accuracy = keras.metrics.Mean(), keras.metrics.SparseCategoricalAccuracy()
    cross = cross_entropy(0.0)

    @tf.function(autograph=False, reduce_retracing=True)
    def step(x, y):
        logits = logits_of(network(x, training=False))
        loss.update_state(cross(y, logits))
        accuracy.update_state(y, logits)

    for x, y in evaluation_batches(split, preprocessing, batch_size):
        step(x, y)
    return {
        "test_loss": float(loss.result()),
        "test_accuracy": float(accuracy.result()),
        "test_images": split.size,
    }
