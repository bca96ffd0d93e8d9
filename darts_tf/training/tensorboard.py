"""TensorBoard output of a run; its steps are the number of finished epochs."""

from __future__ import annotations

import logging
import pathlib
from collections.abc import Mapping

import keras
import psutil
import tensorflow as tf
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.plugins.hparams import api, api_pb2, summary
from tensorboard.plugins.image.metadata import create_summary_metadata

from darts_tf.plots.figures import picture, plot_genotype
from darts_tf.plots.heat_images import heat_images
from darts_tf.runs import files
from darts_tf.runs.folder import MAY_DIFFER
from darts_tf.runtime import atomic
from darts_tf.spaces.difference import describe_changes
from darts_tf.spaces.genotype import CELL_KINDS
from darts_tf.spaces.zoo import load_genotype

PATTERN = "events.out.tfevents.*"
"""Glob pattern of event files."""


def keep(folder: pathlib.Path, most: int) -> bool:
    """Drops events after step `most`, and a truncated last record.

    All other events are merged into one file, which has the name of the oldest. Duplicate events,
    which an interrupted merge leaves, are kept once.

    Args:
        folder: folder of the event files; subfolders do not change.
        most: last step to keep.

    Returns:
        True if any event is kept.
    """
    paths = sorted(folder.glob(PATTERN))
    kept = {}  # ordered
    for path in paths:
        for record in _records(path):
            event = Event.FromString(record)
            if event.step <= most and event.HasField("summary"):
                kept[record] = None
            elif event.HasField("file_version"):
                kept.setdefault(b"", record)
    version = kept.pop(b"", None)
    if not kept:
        for path in paths:
            path.unlink()
        return False
    with atomic.replacing(paths[0]) as written, tf.io.TFRecordWriter(str(written)) as writer:
        for record in [version, *kept]:
            writer.write(record)
    for path in paths[1:]:
        path.unlink()
    return True


def _records(path: pathlib.Path):
    """Yields the complete records of a file whose end may be missing."""
    try:
        yield from tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
    except tf.errors.DataLossError:
        return


def write_picture(tag: str, png: bytes, step: int) -> None:
    """Writes a PNG file as a picture with the default summary writer.

    Args:
        tag: name of the picture.
        png: bytes of the file.
        step: step of the event.
    """
    size = (int.from_bytes(png[i : i + 4], "big") for i in (16, 20))  # in the PNG header
    value = tf.constant([*(str(side).encode() for side in size), png])
    tf.summary.write(tag, value, step, create_summary_metadata(tag, description=""))


def write_trial(
    folder: pathlib.Path, name: str, values: Mapping[str, object], metric: str, score: float
) -> None:
    """Writes the hyperparameters and the score of a trial.

    Args:
        folder: folder of the study's events; the trial gets a subfolder.
        name: name of the trial.
        values: values of the hyperparameters.
        metric: name of the metric by which trials are compared.
        score: value of the metric.
    """
    with tf.summary.create_file_writer(str(folder / name)).as_default():
        api.hparams(dict(values), trial_id=name)
        tf.summary.scalar(metric, score, step=0)


def write_settings(settings: Mapping[str, object]) -> None:
    """Writes the settings of a run with the default summary writer, without those that are None."""
    present = {name: value for name, value in settings.items() if value is not None}
    kinds = str | int | float | bool
    api.hparams({n: v if isinstance(v, kinds) else str(v) for n, v in present.items()})


def write_end(step: int) -> None:
    """Writes that a run has ended successfully, with the default summary writer.

    Args:
        step: last step of the run.
    """
    ended = summary.session_end_pb(api_pb2.STATUS_SUCCESS).value[0]
    tf.summary.write(ended.tag, tf.constant([]), step, ended.metadata)


LOG = logging.getLogger("darts_tf")


class Dashboard(keras.callbacks.Callback):
    """TensorBoard callback: writes scalars, pictures and settings after every epoch.

    It must run after `record`. Events of epochs that were rolled back are dropped.

    Args:
        config: settings of the run.
        record: a `callbacks.Record`, whose last line is written.
    """

    def __init__(self, config, record):
        super().__init__()
        self.config = config
        self.record = record
        self.folder = record.folder / files.TENSORBOARD
        self.watched = Profiled(config.profiled(), self.folder)
        self.writer = self.done = self.cells = None

    def on_epoch_begin(self, epoch, logs=None):
        """Drops events of epochs that are about to be repeated."""
        if epoch == self.done:
            return
        self._close()
        kept = keep(self.folder, epoch)
        self.writer, self.done = tf.summary.create_file_writer(str(self.folder)), epoch
        if not kept:
            with self.writer.as_default(step=0):
                self._introduce()
            self.writer.flush()

    def on_train_batch_begin(self, batch, logs=None):
        """Starts the profiler if this is the first step to profile."""
        self.watched.begin_step()

    def on_train_batch_end(self, batch, logs=None):
        """Stops the profiler if this is the last step to profile."""
        self.watched.end_step()

    def on_epoch_end(self, epoch, logs=None):
        """Writes the metrics and, in a search, the alphas and cells of this epoch."""
        self.done = epoch + 1
        with self.writer.as_default(step=self.done):
            numbers = {**self.record.last_line, **self._numbers()}
            for name, value in numbers.items():
                if isinstance(value, int | float) and name != "epoch":
                    tf.summary.scalar(tag_of(name), value)
            if cells := getattr(self.model, "derived", None):
                self._show_search(cells)
        self.writer.flush()

    def on_train_end(self, logs=None):
        """Stops the profiler and writes that the run has ended."""
        self.watched.stop()
        if self.writer:
            with self.writer.as_default():
                write_end(self.done)
        self._close()

    def _introduce(self):
        settings = self.config.to_dict().items()
        write_settings({n: value for n, value in settings if n not in MAY_DIFFER})
        path = self.record.folder / files.GENOTYPE
        if path.exists():  # only in trainings
            self._show_cells(load_genotype(path, recurrent=None), 0)

    def _numbers(self):
        """Returns scheduled values of network and trainer, and memory in use in GB."""
        network, trainer = self.model.network, self.model
        variables = {name: getattr(network, name, None) for name in _OF_NETWORK}
        variables["regularizer_weight"] = getattr(trainer, "regularizer_weight", None)
        if optimizer := getattr(trainer, "arch_optimizer", None):
            variables["arch_learning_rate"] = optimizer.learning_rate
        numbers = {n: float(value.numpy()) for n, value in variables.items() if value is not None}
        return {**numbers, "memory_gb": psutil.Process().memory_info().rss / 1e9}

    def _show_search(self, cells):
        network = self.model.network
        maps = heat_images(
            list(map(tf.convert_to_tensor, network.alphas)),
            network.space,
            getattr(self.config, "relaxation", "softmax"),
        )
        for cell, png in maps.items():
            write_picture(f"alphas/{cell}", png, self.done)
        self._show_cells(cells, self.done)

    def _show_cells(self, cells, step):
        change = f"\n\n{describe_changes(self.cells, cells)}" if self.cells else ""
        tf.summary.text("genotype", f"```\n{cells}\n```{change}", step)
        if cells != self.cells:  # drawing is expensive
            self.cells, self.drawn = cells, picture(plot_genotype(cells), "png")
        write_picture("cells", self.drawn, step)

    def _close(self):
        if self.writer:
            self.writer.close()
        self.writer = None


class Profiled:
    """Profiler of some steps of this process.

    Args:
        steps: steps to profile, counted from 1; an empty range for none.
        folder: folder for TensorBoard's files.
    """

    def __init__(self, steps: range, folder):
        self.steps = steps
        self.folder = folder
        self.step = 0
        self.watching = False

    def begin_step(self) -> None:
        """Starts the profiler before the first of the steps."""
        self.step += 1
        if self.steps and self.step == self.steps[0]:
            tf.profiler.experimental.start(str(self.folder))
            self.watching = True

    def end_step(self) -> None:
        """Stops the profiler after the last of the steps."""
        if self.steps and self.step == self.steps[-1]:
            self.stop()

    def stop(self) -> None:
        """Stops the profiler if it is running, and writes the profile."""
        if self.watching:
            tf.profiler.experimental.stop()
            self.watching = False
            LOG.info("profile of steps %d to %d: %s", self.steps[0], self.step, self.folder)


def tag_of(metric: str) -> str:
    """Returns TensorBoard's name of a metric: the quantity first, then what it belongs to."""
    if metric in _TAGS:
        return _TAGS[metric]
    for held_out in ("valid", "test"):
        if metric.startswith(f"{held_out}_"):
            return f"{metric.removeprefix(f'{held_out}_')}/{held_out}"
    return f"{metric}/train" if metric in _TRAINED else f"other/{metric}"


_OF_NETWORK = ("temperature", "perturb_radius", "op_dropout_rate", "drop_path_rate")
_TRAINED = ("loss", "accuracy", "top5_accuracy", "perplexity")
_CELLS = tuple(f"{name}_{kind}" for name in ("skips", "entropy") for kind in CELL_KINDS)
_COLLAPSE = ("eigenvalue", "discretised_accuracy", "discretisation_gap")
_TAGS = {
    "arch_loss": "loss/alphas",
    "auxiliary_loss": "loss/auxiliary",
    "total_loss": "loss/with_auxiliary",
    "learning_rate": "learning_rate/weights",
    "arch_learning_rate": "learning_rate/alphas",
    "gradient_norm": "gradient_norm/weights",
    "arch_gradient_norm": "gradient_norm/alphas",
    **{name: f"cells/{name}" for name in (*_CELLS, *_COLLAPSE)},
    **{name: f"schedule/{name}" for name in (*_OF_NETWORK, "regularizer_weight")},
    **{name: f"cost/{name}" for name in ("seconds", "memory_gb", "skipped_steps")},
}
"""Tags that cannot be derived from the metric's name."""
