"""Training and testing of a genotype's network on images."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import logging
import pathlib
from collections.abc import Callable

import keras

from darts_tf.configs import TrainConfig
from darts_tf.configs.images import ImageConfig
from darts_tf.data import (
    AnySplit,
    Augmentation,
    ColorJitter,
    ImageDataset,
    Preprocessing,
    as_read_by,
    held_out,
    load_dataset,
    load_external_test,
    steps_per_epoch,
    train_batches,
)
from darts_tf.errors import InputError
from darts_tf.layers.stems import check_image_size
from darts_tf.models.network import GenotypeNetwork, check_stack, load_network
from darts_tf.models.scaling import scaled
from darts_tf.runs import files
from darts_tf.runs.evaluations import Evaluation, evaluation_path, save_evaluation
from darts_tf.runs.metrics import read_metrics
from darts_tf.runtime.atomic import replacing
from darts_tf.runtime.distribution import is_chief, make_strategy
from darts_tf.spaces.genotype import AnyGenotype
from darts_tf.training.callbacks import Ramp, Record, run_callbacks
from darts_tf.training.evaluation import answers_of, evaluation_of
from darts_tf.training.feeds import image_feed
from darts_tf.training.loop import fit, run_with_trainer
from darts_tf.training.network_trainer import balanced, build_trainer
from darts_tf.training.schedules import drop_path_at

LOG = logging.getLogger("darts_tf")


def train(
    config: TrainConfig,
    genotype: AnyGenotype,
    dataset: ImageDataset,
    report: Callable[[dict], None] | None = None,
    callbacks: tuple[keras.callbacks.Callback, ...] = (),
) -> dict[str, float]:
    """Trains a genotype's network from scratch on all training images, and saves it.

    Creates the run's folder, writes metrics and checkpoints at least after every epoch, and the
    network at the end. The test split is only monitored: nothing is selected by it. With
    `validation_split` it is not used at all.

    Args:
        config: the settings.
        genotype: the cells.
        dataset: the dataset to train and test on.
        report: called with every epoch's metrics.
        callbacks: additional Keras callbacks.

    Returns:
        The metrics of the last epoch, including `test_accuracy`, or `valid_accuracy` on the
        held-out images.

    Raises:
        InputError: images too small, a batch larger than the training split, or a folder that is
            in use, all before anything is written; or other settings than those of the run to
            resume.
        Interrupted: Ctrl-C or SIGTERM was received; a checkpoint has been written.
        Diverged: losses or gradients were not finite, again after rolling back once.
        OSError: a file could not be written; earlier checkpoints are unchanged.
    """
    check_stack(type(genotype), config.cells, config.stem, config.auxiliary)
    config = scaled_to(dataclasses.replace(config, dataset=dataset.name), genotype, dataset)
    watched = "test"
    if config.validation_split:
        dataset, watched = held_out(dataset, config.validation_split, config.seed), "valid"
    strategy = make_strategy(config.strategy, config.devices)
    preprocessing = dataset.preprocessing
    check_image_size(preprocessing.height, preprocessing.width, config.stem)
    steps = steps_per_epoch(dataset.train, config.batch_size, strategy.num_replicas_in_sync)
    classes = len(dataset.classes)
    weights = _class_weights(config, dataset)
    build = functools.partial(
        build_trainer, config, genotype, classes, preprocessing.channels, weights
    )
    batches = functools.partial(
        train_batches,
        dataset.train,
        preprocessing,
        augmentation_of(config),
        config.batch_size,
        seed=config.seed,
        epochs=config.epochs,
    )
    with run_with_trainer(config, dataset, strategy, build, genotype) as (folder, trainer):
        record = Record(folder, dict, report, watched, writes=is_chief())
        rate_at = functools.partial(drop_path_at, config)
        ramp = [Ramp(trainer.network.drop_path_rate, rate_at)] if config.drop_path else []
        fit(
            trainer,
            config,
            folder,
            image_feed(batches, steps, dataset.test, preprocessing),
            callbacks=[*ramp, *run_callbacks(config, record), *callbacks],
        )
        if is_chief():
            trainer.take_averages()
            with replacing(folder / files.MODEL) as path:
                trainer.network.save(path)
    return read_metrics(folder)[-1]


def _class_weights(config: TrainConfig, dataset: ImageDataset) -> list[float] | None:
    if config.class_weights == "none":
        return None
    labels = getattr(dataset.train, "labels", None)
    if labels is None:
        raise InputError(
            "Expected class_weights='none' for a streamed dataset of TFDS, whose labels are not "
            f"known before they are read. Received: class_weights={config.class_weights!r}"
        )
    return balanced(labels, len(dataset.classes))


def augmentation_of(config: TrainConfig) -> Augmentation:
    """Returns the settings of the training images' augmentation."""
    crop = config.random_resized_crop
    return Augmentation(
        crop_padding=0 if crop else config.crop_padding,
        flip=config.flip,
        cutout=config.cutout,
        random_resized_crop=crop,
        color_jitter=ColorJitter() if config.color_jitter else None,
    )


def dataset_of(config: ImageConfig, limit: int | None = None) -> ImageDataset:
    """Loads the dataset of a run, in memory or streamed as its augmentation requires.

    If test images were held out when the run was started, they are the same now.

    Args:
        config: settings of a search, a training or another run on images.
        limit: maximum number of images per split; None uses the run's limit.
    """
    return load_dataset(
        config.dataset,
        image_size=config.image_size,
        resize=config.resize,
        limit=limit or config.limit,
        seed=config.seed,
        max_bad_images=config.max_bad_images,
        streamed=getattr(config, "random_resized_crop", False),
        held_out=files.read_held_out(config.workdir),
    )


def scaled_to(config, genotype: AnyGenotype, dataset: ImageDataset):
    """Returns the config with the channels that `max_macs` allows on a dataset's images.

    Raises:
        InputError: even the smallest number of channels exceeds `max_macs`.
    """
    size = dataset.preprocessing
    image = ((size.height, size.width), size.channels)
    return scaled(config, genotype, len(dataset.classes), *image)


def load_run(workdir: pathlib.Path) -> tuple[GenotypeNetwork, Preprocessing, tuple[str, ...]]:
    """Loads the network of a training run, its preprocessing, and the names of its classes.

    Raises:
        InputError: no finished training run in the folder.
    """
    network = load_network(files.existing(workdir, files.MODEL))
    classes, preprocessing = files.read_dataset(files.existing(workdir, files.DATASET))
    return network, Preprocessing.from_dict(preprocessing), classes


def evaluate(
    workdir: pathlib.Path,
    *,
    batch_size: int = 256,
    limit: int | None = None,
    dataset: str | ImageDataset | None = None,
) -> dict[str, float]:
    """Tests the network of a training run on the test split of its dataset, or on other images.

    The results by class are written to the run's folder; see `evaluate_by_class`.

    Args:
        workdir: folder of the run.
        batch_size: images per step; the result does not depend on it.
        limit: maximum number of images to load; by default the run's limit.
        dataset: folder, name or dataset of other images to test on, see `data.external_test`; or
            the run's own dataset, if it is loaded already. None loads that.

    Returns:
        `test_loss`, `test_accuracy`, with many classes `test_top5_accuracy`, and `test_images`.

    Raises:
        InputError: no finished training run in the folder, its dataset has changed, or the other
            images have other classes.
    """
    evaluation, _ = evaluate_by_class(workdir, batch_size=batch_size, limit=limit, dataset=dataset)
    metrics = {"test_loss": evaluation.loss, "test_accuracy": evaluation.accuracy}
    if evaluation.top5_accuracy is not None:
        metrics["test_top5_accuracy"] = evaluation.top5_accuracy
    return {**metrics, "test_images": evaluation.images}


def evaluate_by_class(
    workdir: pathlib.Path,
    *,
    batch_size: int = 256,
    limit: int | None = None,
    dataset: str | ImageDataset | None = None,
) -> tuple[Evaluation, pathlib.Path]:
    """Tests the network of a training run as `evaluate` does, and keeps the results by class.

    The result on the run's own test split is kept in `EVALUATION`. Results on a part of it or on
    other images have files of their own in `EVALUATIONS`. If the folder cannot be written to, a
    warning says so.

    Args:
        workdir: as in `evaluate`.
        batch_size: as in `evaluate`.
        limit: as in `evaluate`.
        dataset: as in `evaluate`.

    Returns:
        The evaluation, and the path of its file.

    Raises:
        InputError: as in `evaluate`.
    """
    network, preprocessing, classes = load_run(workdir)
    config = TrainConfig.from_dict(files.read_json(pathlib.Path(workdir) / files.CONFIG))
    own = dataset is None or getattr(dataset, "name", None) == config.dataset
    if own:
        name, split = config.dataset, _own_test_split(dataset or dataset_of(config, limit), classes)
    else:
        options = {"limit": limit, "seed": config.seed}
        name, split = load_external_test(dataset, classes, preprocessing, **options)
    path = evaluation_path(workdir, None if own else name, limit)
    split = as_read_by(preprocessing, split)
    answers = answers_of(network, split, preprocessing, batch_size)
    evaluation = evaluation_of(
        answers,
        classes,
        name,
        own=own,
        limit=limit,
        epochs=len(read_metrics(workdir)),
        paths=getattr(split, "paths", None),
    )
    try:
        save_evaluation(path, evaluation)
    except OSError as error:
        LOG.warning("the results by class are not kept: %s (%s)", path, error.strerror)
    return evaluation, path


def _own_test_split(dataset: ImageDataset, classes: tuple[str, ...]) -> AnySplit:
    """Returns the test split of a run's dataset.

    Raises:
        InputError: the dataset has other classes than the run.
    """
    if dataset.classes != classes:
        pairs = enumerate(itertools.zip_longest(classes, dataset.classes), 1)
        number, (expected, received) = next((i, pair) for i, pair in pairs if pair[0] != pair[1])
        raise InputError(
            f"Expected the dataset to have the run's {len(classes)} classes, number {number} being "
            f"{expected!r}. Received: {len(dataset.classes)} classes, that one being {received!r}"
        )
    return dataset.test
