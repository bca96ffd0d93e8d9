"""TensorBoard's event files: what is kept of them where a run goes on, and pictures in them."""

from __future__ import annotations

import pathlib

import tensorflow as tf
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.plugins.image.metadata import create_summary_metadata

from darts_tf.runtime import atomic

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
