"""Training and testing the network of a genotype."""

from __future__ import annotations

import pathlib
from collections.abc import Callable

import keras
import tensorflow as tf

from darts_tf import runs
from darts_tf.callbacks import DropPathRamp, Record, begin_or_resume, of_every_run
from darts_tf.configs import TrainConfig
from darts_tf.data import (
    Augmentation,
    ImageDataset,
    Preprocessing,
    Split,
    as_read_by,
    evaluation_batches,
    load_dataset,
    steps_per_epoch,
    train_batches,
)
from darts_tf.execution import compiles, dtype_policy, graph_optimizer_off, on_device
from darts_tf.files import replacing
from darts_tf.genotype import Genotype
from darts_tf.network import Network, build_network, load_network, logits_of
from darts_tf.optimizers import SGD
from darts_tf.stems import check_image_size


def train(
    config: TrainConfig,
    genotype: Genotype,
    dataset: ImageDataset,
    report: Callable[[dict], None] | None = None,
    callbacks: tuple[keras.callbacks.Callback, ...] = (),
) -> dict[str, float]:
    """Trains a genotype's network from scratch on all training images, and keeps it.

    Makes the run's folder, and writes metrics and checkpoints into it after every epoch and the
    network at the end. The test split is only watched: nothing is chosen by it.

    Args:
        config: the settings.
        genotype: the cells.
        dataset: what to train and test on.
        report: called with every epoch's metrics.
        callbacks: further Keras callbacks.

    Returns:
        The metrics of the last epoch, `test_accuracy` among them.

    Raises:
        ValueError: images too small, a batch larger than the training split, or a folder that is
            in use; nothing has been written then.
    """
    preprocessing = dataset.preprocessing
    check_image_size(preprocessing.height, preprocessing.width, config.stem)
    steps = steps_per_epoch(dataset.train, config.batch_size)
    keras.utils.set_random_seed(config.seed)
    with dtype_policy(config.precision):
        network = build_for(config, genotype, len(dataset.classes), preprocessing.channels)
    variables = [*network.variables, *network.optimizer.variables]
    folder = runs.begin(config, dataset)
    if not config.resume:
        genotype.save(folder / runs.GENOTYPE)
    checkpoint, done = begin_or_resume(folder, variables, config.resume)
    if done < config.epochs:
        batches = train_batches(
            dataset.train,
            preprocessing,
            Augmentation(config.crop_padding, config.flip, config.cutout),
            config.batch_size,
            seed=config.seed,
            epochs=config.epochs,
            start_step=done * steps,
        )
        record = Record(folder, dict, report, held_out="test")
        with graph_optimizer_off():
            network.fit(
                on_device(_with_targets(batches, config.auxiliary)),
                epochs=config.epochs,
                initial_epoch=done,
                steps_per_epoch=steps,
                validation_data=_with_targets(
                    evaluation_batches(dataset.test, preprocessing, 256), config.auxiliary
                ),
                callbacks=[
                    *([DropPathRamp(config.drop_path, config.epochs)] if config.drop_path else []),
                    *of_every_run(config, record, checkpoint),
                    *callbacks,
                ],
                shuffle=False,  # the pipeline has shuffled
                verbose=0,
            )
    with replacing(folder / runs.MODEL) as path:
        network.save(path)
    return runs.read_metrics(folder)[-1]


def build_for(
    config: TrainConfig, genotype: Genotype, classes: int, image_channels: int
) -> Network:
    """The compiled network of a training run."""
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
    loss = cross_entropy(config.label_smoothing)
    accuracy = keras.metrics.SparseCategoricalAccuracy("accuracy")
    outputs = {"loss": loss, "metrics": [accuracy]}
    if config.auxiliary:
        outputs = {
            "loss": {"logits": loss, "auxiliary": loss},
            "loss_weights": {"logits": 1.0, "auxiliary": config.auxiliary_weight},
            "metrics": {"logits": [accuracy]},
        }
    optimizer = SGD(config.learning_rate, config.momentum, config.weight_decay, config.clip_norm)
    network.compile(optimizer=optimizer, jit_compile=compiles(config.jit_compile), **outputs)
    network.optimizer.build(network.trainable_variables)
    return network


def cross_entropy(label_smoothing: float) -> Callable:
    """A loss of integer labels and logits that spreads a share of each label over all classes."""

    def loss(labels, logits):
        one_hot = tf.one_hot(tf.cast(tf.reshape(labels, [-1]), tf.int32), logits.shape[-1])
        return keras.losses.categorical_crossentropy(
            one_hot, logits, from_logits=True, label_smoothing=label_smoothing
        )

    return loss


def _with_targets(batches: tf.data.Dataset, auxiliary: bool) -> tf.data.Dataset:
    """One target per output of the network."""
    if not auxiliary:
        return batches
    return batches.map(lambda x, y: (x, {"logits": y, "auxiliary": y}))


def load_run(workdir: pathlib.Path) -> tuple[Network, Preprocessing, tuple[str, ...]]:
    """The network of a training run, how it reads images, and the names of its classes.

    Raises:
        ValueError: no finished training run in the folder.
    """
    network = load_network(runs.existing(workdir, runs.MODEL))
    described = runs.read_json(runs.existing(workdir, runs.DATASET))
    preprocessing = Preprocessing.from_dict(described["preprocessing"])
    return network, preprocessing, tuple(described["classes"])


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
        ValueError: no finished training run in the folder, or its dataset has changed.
    """
    network, preprocessing, classes = load_run(workdir)
    config = TrainConfig.from_dict(runs.read_json(pathlib.Path(workdir) / runs.CONFIG))
    dataset = load_dataset(
        config.dataset,
        image_size=config.image_size,
        limit=limit or config.limit,
        seed=config.seed,
    )
    if dataset.classes != classes:
        raise ValueError(
            f"Expected the dataset to have the classes of the run, {', '.join(classes)}. "
            f"Received: {', '.join(dataset.classes)}"
        )
    images = as_read_by(preprocessing, dataset.test.images)
    split = Split(images, dataset.test.labels)
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
        "test_images": len(split.labels),
    }
