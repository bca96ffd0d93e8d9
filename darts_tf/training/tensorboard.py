"""What TensorBoard shows of a run; its steps are the epochs that are done."""

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
from darts_tf.spaces.zoo import load_genotype

PATTERN = "events.out.tfevents.*"
"""Names of event files."""


def keep(folder: pathlib.Path, most: int) -> bool:
    """Drops what was written of later steps than `most`, and what was written by halves.

    All else is in one file afterwards, which has the name of the oldest. An event that is there
    twice, since this was interrupted before, is kept once.

    Args:
        folder: of the files; others below it are left as they are.
        most: the last step that is kept.

    Returns:
        Whether anything is.
    """
    paths = sorted(folder.glob(PATTERN))
    kept = {}  # in their order
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
    """The whole records of a file; its end may be missing."""
    try:
        yield from tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
    except tf.errors.DataLossError:
        return


def write_picture(tag: str, png: bytes, step: int) -> None:
    """Writes a picture that is a PNG file already, by the writer that is the default.

    Args:
        tag: its name.
        png: the file's bytes.
        step: as of a scalar.
    """
    size = (int.from_bytes(png[place : place + 4], "big") for place in (16, 20))  # of its header
    value = tf.constant([*(str(side).encode() for side in size), png])
    tf.summary.write(tag, value, step, create_summary_metadata(tag, description=""))


def write_trial(
    folder: pathlib.Path, name: str, values: Mapping[str, object], metric: str, score: float
) -> None:
    """Writes a trial's hyperparameters and what it reached.

    Args:
        folder: of the study's events; the trial gets one below it.
        name: of the trial.
        values: of the hyperparameters.
        metric: by which trials are compared.
        score: its value.
    """
    with tf.summary.create_file_writer(str(folder / name)).as_default():
        api.hparams(dict(values), trial_id=name)
        tf.summary.scalar(metric, score, step=0)


def write_settings(settings: Mapping[str, object]) -> None:
    """Writes what a run is begun with, by the writer that is the default; None is left out."""
    given = {name: value for name, value in settings.items() if value is not None}
    kinds = str | int | float | bool
    api.hparams({n: v if isinstance(v, kinds) else str(v) for n, v in given.items()})


def write_end(step: int) -> None:
    """Writes that a run has ended well, by the writer that is the default.

    Args:
        step: its last.
    """
    ended = summary.session_end_pb(api_pb2.STATUS_SUCCESS).value[0]
    tf.summary.write(ended.tag, tf.constant([]), step, ended.metadata)


LOG = logging.getLogger("darts_tf")


class Dashboard(keras.callbacks.Callback):
    """Writes scalars, pictures and settings after every epoch; goes after what records these.

    What was written of epochs that the run has gone back from is dropped.

    Args:
        config: the settings of the run.
        record: a `callbacks.Record`, whose line is shown.
    """

    def __init__(self, config, record):
        super().__init__()
        self.config = config
        self.record = record
        self.folder = record.folder / files.TENSORBOARD
        self.watched = Profiled(config.profiled(), self.folder)
        self.writer = self.done = self.cells = None

    def on_epoch_begin(self, epoch, logs=None):
        """Sees to it that what is written next is not there yet."""
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
        """Begins to profile, where this step is the first to be."""
        self.watched.begin_step()

    def on_train_batch_end(self, batch, logs=None):
        """Ends to profile, where this step is the last to be."""
        self.watched.end_step()

    def on_epoch_end(self, epoch, logs=None):
        """Writes what is known now."""
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
        """Notes that the run has ended."""
        self.watched.stop()
        if self.writer:
            with self.writer.as_default():
                write_end(self.done)
        self._close()

    def _introduce(self):
        settings = self.config.to_dict().items()
        write_settings({n: value for n, value in settings if n not in MAY_DIFFER})
        path = self.record.folder / files.GENOTYPE
        if path.exists():  # of a training
            self._show_cells(load_genotype(path, recurrent=None), 0)

    def _numbers(self):
        """What is no metric."""
        network, trainer = self.model.network, self.model
        held = {name: getattr(network, name, None) for name in _OF_NETWORK}
        held["regularizer_weight"] = getattr(trainer, "regularizer_weight", None)
        if optimizer := getattr(trainer, "arch_optimizer", None):
            held["arch_learning_rate"] = optimizer.learning_rate
        found = {name: float(value.numpy()) for name, value in held.items() if value is not None}
        return {**found, "memory_gb": psutil.Process().memory_info().rss / 1e9}

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
        if cells != self.cells:  # drawing takes a while
            self.cells, self.drawn = cells, picture(plot_genotype(cells), "png")
        write_picture("cells", self.drawn, step)

    def _close(self):
        if self.writer:
            self.writer.close()
        self.writer = None


class Profiled:
    """Has TensorFlow's profiler watch some steps of this process.

    Args:
        steps: which, counted from 1; none for an empty range.
        folder: for TensorBoard's files.
    """

    def __init__(self, steps: range, folder):
        self.steps = steps
        self.folder = folder
        self.step = 0
        self.watching = False

    def begin_step(self) -> None:
        """Begins before the first of them."""
        self.step += 1
        if self.steps and self.step == self.steps[0]:
            tf.profiler.experimental.start(str(self.folder))
            self.watching = True

    def end_step(self) -> None:
        """Ends after the last of them."""
        if self.steps and self.step == self.steps[-1]:
            self.stop()

    def stop(self) -> None:
        """Ends at once, where it is watching; what was seen is written."""
        if self.watching:
            tf.profiler.experimental.stop()
            self.watching = False
            LOG.info("profile of steps %d to %d: %s", self.steps[0], self.step, self.folder)


def tag_of(metric: str) -> str:
    """Under which name TensorBoard shows a metric: first what it is, then of what."""
    if metric in _TAGS:
        return _TAGS[metric]
    for held_out in ("valid", "test"):
        if metric.startswith(f"{held_out}_"):
            return f"{metric.removeprefix(f'{held_out}_')}/{held_out}"
    return f"{metric}/train" if metric in _TRAINED else f"other/{metric}"


_OF_NETWORK = ("temperature", "perturb_radius", "op_dropout_rate", "drop_path_rate")
_TRAINED = ("loss", "accuracy", "top5_accuracy", "perplexity")
_CELLS = ("skips_normal", "skips_reduce", "entropy_normal", "entropy_reduce", "entropy_recurrent")
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
"""Names that do not follow from the metric's."""
