"""Trainings of the networks of genotypes, and their tests, on images and on text."""

from __future__ import annotations

import dataclasses
import functools
import os
import pathlib
from collections.abc import Mapping, Sequence

import keras
import numpy as np

from darts_tf.configs import TextTrainConfig, TrainConfig
from darts_tf.data import ARRAYS, ImageDataset, lasting_name
from darts_tf.errors import InputError
from darts_tf.jobs.exports import Export, export_network, predict_images
from darts_tf.jobs.inputs import (
    DATA,
    Cells,
    cells_of,
    config_of,
    data_of,
    is_text,
    loaded,
    settings_of,
    stored_data,
    suited,
    workdir_of,
)
from darts_tf.jobs.progress import Lines
from darts_tf.jobs.results import Result, fields_of
from darts_tf.jobs.searches import Search, say_data
from darts_tf.runs import files
from darts_tf.training import images, text

BATCH = 256
"""Images per step of a test, by default."""

OTHER_ARRAYS = "(other arrays)"
"""Name of arrays to test on that are not those of the training."""


class Training(Result):
    """A finished training, with methods as those of Keras models.

    It has the `genotype`, the `history` of its metrics (a list for each name, as in Keras), the
    `workdir`, the `config` and the `data`. `plot()` draws the cells, and `report()` writes a page
    for browsers. All functions that take a training take its folder too.
    """

    @functools.cached_property
    def network(self) -> keras.Model:
        """The trained network or language model, read from the folder of the run."""
        load = text.load_run if self.config.on_text else images.load_run
        return load(self.workdir)[0]

    @property
    def metrics(self) -> dict[str, float]:
        """Metrics of the last epoch; for a text, of the epoch whose model is kept."""
        losses = self.history.get("valid_loss") if self.config.on_text else None
        epoch = int(np.nanargmin(losses)) if losses else -1
        return {name: values[epoch] for name, values in self.history.items()}

    def evaluate(self, data=None, **options) -> dict[str, float]:
        """Tests the network; see `evaluate_network`."""
        return evaluate_network(self, data, **options)

    def predict(self, images, top: int = 3) -> list[list[tuple[str, float]]]:
        """Classifies images; see `predict_images`."""
        return predict_images(self, images, top=top)

    def export(self, output=None, **options) -> Export:
        """Exports the network; see `export_network`."""
        return export_network(self, output, **options)


def train_network(
    genotype,
    data=None,
    *,
    preset: str | None = None,
    workdir=None,
    verbose: int | str = "auto",
    callbacks: Sequence[keras.callbacks.Callback] = (),
    **settings,
) -> Training:
    """Trains the network of a genotype from scratch and tests it: `darts-tf train` as a function.

    Example:
        ```python
        found = darts_tf.search_cells("photos")
        trained = darts_tf.train_network(found, epochs=30)  # on the data of the search
        print(trained.evaluate())
        trained.export("runs/export", formats=["tflite"])
        ```

    Args:
        genotype: what `search_cells` returned, or the folder of a search; a genotype, its name,
            or its file.
        data: as in `search_cells`; by default the data of the search that found the genotype.
        preset: as in `search_cells`.
        workdir: as in `search_cells`, by default the first free one of `runs/train-1`, ...
        verbose: as in `search_cells`.
        callbacks: as in `search_cells`.
        **settings: the settings of the training, as the flags of `darts-tf train`: `epochs=20`,
            `channels=16`, `flip=True`. `configs.TrainConfig` and `configs.TextTrainConfig` list
            them.

    Returns:
        The training, with `.network`, `.history`, `.evaluate()`, `.predict()` and `.export()`.

    Raises:
        InputError: as in `search_cells`; or the genotype is unknown, or its data is.
        Interrupted: as in `search_cells`.
        Diverged: as in `search_cells`.
        OSError: as in `search_cells`.
    """
    say = Lines(verbose)
    cells = cells_of(genotype, on_text=is_text(data))
    data = cells.data if data is None else data
    if data is None:
        raise InputError(f"Expected data to train on: {DATA}. Received: None")
    config = settings_of(TrainConfig, data, preset, workdir, settings, genotype=cells.text or "")
    _check_kind(config, cells)
    if cells.text is None:  # the run itself keeps a genotype that is in no file
        stored = str(config.workdir / files.GENOTYPE)
        config = dataclasses.replace(config, genotype=stored)
    dataset = loaded(config, data)
    config = suited(config, dataset, settings)
    train_cells(config, cells.genotype, dataset, say, callbacks)
    training = Training(**fields_of(config, data))
    for doubt in training.doubts:
        say(f"warning: {doubt}")
    return training


def _check_kind(config: TrainConfig | TextTrainConfig, cells: Cells) -> None:
    """Refuses cells for images on a text, and recurrent cells on images."""
    recurrent = cells.genotype.on_text
    if recurrent != config.on_text:
        cell, data = ("a recurrent cell", "images") if recurrent else ("cells for images", "a text")
        raise InputError(
            "Expected cells for images with images, or a recurrent cell with a text. "
            f"Received: {cell} with {data}"
        )


def train_cells(
    config, genotype, dataset, say: Lines, callbacks: Sequence[keras.callbacks.Callback] = ()
) -> Mapping[str, float]:
    """Runs a training, new or resumed by its settings; returns the metrics to report.

    Args:
        config: the settings.
        genotype: the cells.
        dataset: the data set to train and test on.
        say: prints lines, and makes the callbacks of the progress.
        callbacks: further Keras callbacks.
    """
    say_data(dataset, say)
    say(f"training in {config.workdir}: {config.epochs} epochs, batches of {config.batch_size}")
    tested = not config.on_text and not config.validation_split
    callbacks = (*say.callbacks("test" if tested else "valid"), *callbacks)
    train = text.train if config.on_text else images.train
    return train(config, genotype, dataset, callbacks=callbacks)


def evaluate_network(
    training, data=None, *, batch_size: int | None = None, limit: int | None = None
) -> dict[str, float]:
    """Tests a trained network on the test images or the test text of its data.

    Args:
        training: what `train_network` returned, or the folder of a training.
        data: other data with the same classes or words, in a form that `search_cells` takes; by
            default the data of the training. A folder of other images may have any layout, and
            images of any size.
        batch_size: images per step, which does not change the result; of a text the streams into
            which it is divided, 1 by default as in published results.
        limit: maximum number of images or words; by default that of the training.

    Returns:
        `test_loss`, `test_accuracy` and `test_images`; or `test_loss`, `test_perplexity` and
        `test_words`.

    Raises:
        InputError: no finished training, or data with other classes or words.
    """
    workdir = workdir_of(training)
    config = config_of(workdir)
    if limit is not None:
        config = dataclasses.replace(config, limit=limit)
    given = data_of(training, config) if data is None else data
    if config.on_text:
        dataset = loaded(config, given)
        return text.evaluate(workdir, batch_size=batch_size or 1, limit=limit, dataset=dataset)
    if not isinstance(given, str | os.PathLike):
        dataset = _of_run(loaded(config, given), workdir)
    else:  # other images may have any layout and size
        dataset = None if lasting_name(given) == config.dataset else os.fspath(given)
    return images.evaluate(workdir, batch_size=batch_size or BATCH, limit=limit, dataset=dataset)


def _of_run(dataset: ImageDataset, workdir: pathlib.Path) -> ImageDataset:
    """Returns arrays with the names of the run's classes, and known as others if they are.

    Arrays have no name to know them by, but the statistics of their training images.
    """
    classes, stored = files.read_dataset(files.existing(workdir, files.DATASET))
    numbers = tuple(map(str, range(len(dataset.classes))))
    if dataset.classes == numbers and len(numbers) <= len(classes):
        dataset = dataclasses.replace(dataset, classes=classes)
    own = files.plain(dataset.preprocessing.to_dict()) == stored
    if dataset.name != ARRAYS or own:
        return dataset
    return dataclasses.replace(dataset, name=OTHER_ARRAYS)


def open_run(workdir) -> Search | Training:
    """Returns the result of a finished search or training, from its folder.

    Example:
        ```python
        found = darts_tf.open_run("runs/search")  # also one that darts-tf search has made
        ```

    Raises:
        InputError: no finished search or training in the folder.
    """
    workdir = workdir_of(workdir)
    config = config_of(workdir)
    if not (getattr(config, "searches", False) or getattr(config, "trains", False)):
        raise InputError(
            f"Expected the folder of a search or a training. Received: that of a {config.kind}"
        )
    config = dataclasses.replace(config, workdir=workdir)
    return (Search if config.searches else Training)(**fields_of(config, stored_data(workdir)))
