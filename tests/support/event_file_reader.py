"""Reading of TensorBoard's event files."""

from __future__ import annotations

import pathlib

import tensorflow as tf
from tensorboard.compat.proto.event_pb2 import Event


def values_of(folder: pathlib.Path, tag: str) -> list[tuple[int, object]]:
    """Returns steps and values of a tag, in the order of the files."""
    return [(step, value) for name, step, value in _events(folder) if name == tag]


def scalars_of(folder: pathlib.Path) -> dict[str, dict[int, float]]:
    """Returns all scalars by tag and step; fails if one is duplicated."""
    scalars = {}
    for tag, step, value in _events(folder):
        if getattr(value, "shape", None) == () and value.dtype.kind == "f":
            assert step not in scalars.setdefault(tag, {}), f"{tag} twice in step {step}"
            scalars[tag][step] = float(value)
    return scalars


def tags_of(folder: pathlib.Path) -> set[str]:
    """Returns all tags."""
    return {tag for tag, *_ in _events(folder)}


def _events(folder):
    for path in sorted(pathlib.Path(folder).glob("events.out.tfevents.*")):
        for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            event = Event.FromString(record)
            for value in event.summary.value:
                yield value.tag, event.step, tf.make_ndarray(value.tensor)
