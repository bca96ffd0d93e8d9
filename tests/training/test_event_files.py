"""TensorBoard's event files, as a resumed run keeps them."""

from __future__ import annotations

import io

import numpy as np
import pytest
import tensorflow as tf
from event_file_reader import scalars_of, values_of
from PIL import Image

from darts_tf.training.tensorboard import PATTERN, keep, write_picture


def write(folder, steps):
    """Writes a separate file with a scalar at each step."""
    writer = tf.summary.create_file_writer(str(folder), filename_suffix=f".{steps[0]}")
    with writer.as_default():
        for step in steps:
            tf.summary.scalar("number", 10.0 * step, step)
    writer.close()


def test_later_steps_are_dropped_and_all_else_is_in_one_file(tmp_path):
    write(tmp_path, [1, 2, 3])
    write(tmp_path, [4, 5, 6])
    first = min(tmp_path.glob(PATTERN))
    assert keep(tmp_path, 4)
    assert list(tmp_path.glob("*")) == [first]
    assert scalars_of(tmp_path) == {"number": {1: 10, 2: 20, 3: 30, 4: 40}}
    write(tmp_path, [5])
    assert scalars_of(tmp_path)["number"][5] == 50


def test_nothing_is_kept_of_a_beginning(tmp_path):
    assert not keep(tmp_path / "nowhere", 3)
    write(tmp_path, [2, 3])
    other = tmp_path / "notes.txt"
    other.write_text("mine")
    assert not keep(tmp_path, 1)
    assert list(tmp_path.iterdir()) == [other]


def test_a_file_that_was_being_written_is_kept_up_to_its_last_whole_event(tmp_path):
    write(tmp_path, [1, 2, 3])
    (path,) = tmp_path.glob(PATTERN)
    path.write_bytes(path.read_bytes()[:-5])
    assert keep(tmp_path, 9)
    assert scalars_of(tmp_path) == {"number": {1: 10, 2: 20}}


def test_events_of_a_merge_that_was_interrupted_are_kept_once(tmp_path):
    write(tmp_path, [1, 2])
    (path,) = tmp_path.glob(PATTERN)
    path.with_name(f"{path.name}.copy").write_bytes(path.read_bytes())
    assert keep(tmp_path, 2)
    assert [step for step, _ in values_of(tmp_path, "number")] == [1, 2]


@pytest.mark.parametrize("size", [(3, 5), (300, 2)])
def test_picture_is_read_back_as_it_was(tmp_path, size):
    file = io.BytesIO()
    Image.new("RGB", size, (1, 2, 3)).save(file, "PNG")
    with tf.summary.create_file_writer(str(tmp_path)).as_default():
        write_picture("cells", file.getvalue(), 7)
    ((step, value),) = values_of(tmp_path, "cells")
    width, height, png = value
    assert (step, int(width), int(height), png) == (7, *size, file.getvalue())
    assert np.all(np.asarray(Image.open(io.BytesIO(png))) == (1, 2, 3))
