"""Image folders and tables of images, in one of the layouts of `layouts`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from darts_tf.data.damage import Damage, check_files, read_bytes, refuse
from darts_tf.data.decoding import CHUNK, Encoded, decode_splits, needed_bytes
from darts_tf.data.layouts import Listing, find_layout
from darts_tf.data.sizes import Size, choose_size, sampled_sizes, square
from darts_tf.data.splits import Files, Split, limited_indices, take
from darts_tf.errors import gigabytes
from darts_tf.runtime.memory import available_bytes

MEMORY_SHARE = 0.4
"""Largest fraction of the free memory that decoded images take; larger sets are streamed."""


class Loaded(NamedTuple):
    """Images of a folder.

    Attributes:
        classes: names of the labels.
        train: training images, decoded or as files.
        test: test images, decoded or as files.
        size: size of all images.
        held_out: as in `layouts.Layout`.
        notes: lines for the user about the folder and its images.
    """

    classes: tuple[str, ...]
    train: Split | Files
    test: Split | Files
    size: Size
    held_out: tuple[str, ...] | None
    notes: tuple[str, ...]


def load_folder(
    folder: str,
    *,
    image_size: int | None,
    limit: int | None,
    seed: int,
    max_bad_images: int,
    resize: str = "crop",
    held_out: Sequence[str] | None = None,
    streamed: bool = False,
) -> Loaded:
    """Loads an image folder; with a limit only the chosen files are opened.

    Images that would take more than `MEMORY_SHARE` of the free memory are not decoded yet, and
    neither are those of a folder to be streamed. Of these only the first and last bytes of every
    chosen file are read (`check_files`), which detects truncated files, missing files and other
    formats. Other damage is detected at decoding.

    Args:
        folder: path of the folder or table, see `layouts.find_layout`.
        image_size: side in pixels to resize to; None chooses a size, see `choose_size`.
        limit: maximum number of images to keep per split; None keeps all.
        seed: seed of that choice.
        max_bad_images: maximum number of damaged files among the chosen training files; they are
            left out.
        resize: how images are brought to a square, `crop` or `squeeze`.
        held_out: names of test images, kept from an earlier run, see `layouts.find_layout`.
        streamed: decode images while they are used.

    Raises:
        InputError: raised by `find_layout` and `decode_splits`; for files more than
            `max_bad_images` damaged training images, or all of a class, or any damaged test image.
    """
    layout = find_layout(folder, held_out)
    notes = list(layout.notes)
    train, test = (_limit(_files(listing), limit, seed) for listing in (layout.train, layout.test))
    if image_size is None:
        size, note = choose_size(sampled_sizes(train.paths), resize)
        notes += [note] if note and not streamed else []
    else:
        size = square(image_size, resize)
    needed = needed_bytes(train.size + test.size, size)
    if not streamed and needed > MEMORY_SHARE * available_bytes():
        notes.append(
            f"{train.size + test.size:,} images would take {gigabytes(needed)} of memory; they are "
            "read while they are used instead"
        )
        streamed = True
    if streamed:
        damage = Damage(train.labels, layout.classes, max_bad_images)
        check_files(train.paths, damage.leave_out)
        check_files(test.paths, refuse)
        train = take(train, np.flatnonzero(damage.kept))
    else:
        encoded = (_encoded(train), _encoded(test))
        options = {"size": size, "max_bad_images": max_bad_images}
        train, test, suspicions = decode_splits(*encoded, layout.classes, **options)
        notes += suspicions
    return Loaded(layout.classes, train, test, size, layout.held_out, tuple(notes))


def _files(listing: Listing) -> Files:
    return Files(listing.paths, np.array(listing.labels, np.int32))


def _limit(files: Files, limit: int | None, seed: int) -> Files:
    return take(files, limited_indices(files.labels, limit, seed))


def _encoded(files: Files) -> Encoded:
    def read(paths: tf.Tensor) -> tf.Tensor:
        return tf.map_fn(tf.io.read_file, paths)

    def items(first: int, count: int):
        for path in files.paths[first : first + count]:
            name, contents = read_bytes(path)
            yield name, tf.constant(contents)

    names = [os.fsencode(path) for path in files.paths]  # not all are UTF-8
    batches = tf.data.Dataset.from_tensor_slices(names).batch(CHUNK)
    return Encoded(batches.map(read, tf.data.AUTOTUNE, deterministic=True), files.labels, items)
