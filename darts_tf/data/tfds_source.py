"""Image classification datasets of TensorFlow Datasets (TFDS), by name."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

from darts_tf import registry
from darts_tf.data.decoding import CHUNK, Encoded, decode_splits
from darts_tf.data.splits import Records, Split, limited_indices
from darts_tf.errors import InputError, first_line

if TYPE_CHECKING:
    import tensorflow_datasets as tfds


BUFFER = 4096
"""Encoded images among which an epoch's next one is drawn: half a gigabyte of ImageNet."""


def base_name(name: str) -> str:
    """`cifar10` of `cifar10:3.0.2`, `mnist_corrupted` of `mnist_corrupted/spatter`."""
    return re.split("[/:]", name)[0]


def is_known(name: str) -> bool:
    """Whether TFDS has code for the dataset."""
    import tensorflow_datasets as tfds

    return base_name(name) in tfds.list_builders()


def class_names(name: str) -> tuple[str, ...]:
    """The classes of a dataset whose names TFDS knows before a download; nothing is loaded."""
    return tuple(_builder(name, ()).info.features["label"].names)


def load_tfds(
    name: str,
    *,
    image_size: int | None,
    limit: int | None,
    seed: int,
    max_bad_images: int,
    other_names: Collection[str] = (),
) -> tuple[tuple[str, ...], Split, Split]:
    """Loads a dataset of TFDS, downloading it where it is not there yet.

    Does in steps what `tfds.load(name, split=[...], as_supervised=True)` does, so that features
    are checked before a download and only chosen images are decoded. They are decoded by us and
    not by TFDS, so that damaged ones are found and left out as those of an image folder; a damaged
    file of TFDS' own, which holds many images, stays TensorFlow's error.

    Args:
        name: as for `tfds.load`.
        image_size: side in pixels to resize to; None expects images of one size.
        limit: most images to keep of each split; None keeps all.
        seed: of that choice.
        max_bad_images: how many of the chosen training images may be damaged and are left out.
        other_names: what a mistyped name may have meant, beside TFDS' names.

    Returns:
        `(classes, train, test)`; where no labelled test split exists, test is `validation`.

    Raises:
        InputError: an unknown name, no image classification dataset, no such splits, or what
            `decode_splits` refuses.
        OSError: the download or preparation failed.
    """
    builder, classes = _prepared(name, other_names)
    train, test = (
        _select(builder, split, limit, seed) for split in ("train", _test_split(builder))
    )
    options = {"image_size": image_size, "max_bad_images": max_bad_images}
    return classes, *decode_splits(train, test, classes, **options)


def stream_tfds(
    name: str, *, limit: int | None, other_names: Collection[str] = ()
) -> tuple[tuple[str, ...], Records, Records]:
    """As `load_tfds`, but for records that are read while they are used.

    An epoch reads the files in a random order, several at a time, and draws from a buffer of
    `BUFFER` records. One that cannot be decoded is TensorFlow's error when it is reached.

    Args:
        name: as for `tfds.load`.
        limit: most images of each split, the first ones, which TFDS has stored in random order
            but for some datasets; None takes all.
        other_names: what a mistyped name may have meant, beside TFDS' names.

    Returns:
        `(classes, train, test)`.

    Raises:
        InputError: as `load_tfds`.
        OSError: as `load_tfds`.
    """
    builder, classes = _prepared(name, other_names)
    splits = ("train", _test_split(builder))
    return classes, *(_records(builder, split, limit) for split in splits)


def _prepared(
    name: str, other_names: Collection[str]
) -> tuple[tfds.core.DatasetBuilder, tuple[str, ...]]:
    """The dataset, which is on this machine then, and its classes."""
    builder = _builder(name, other_names)
    _check_features(builder, name)
    _prepare(builder, name)
    _, label = builder.info.supervised_keys
    return builder, tuple(builder.info.features[label].names)  # Some are found in the files only.


def _builder(name: str, other_names: Collection[str]) -> tfds.core.DatasetBuilder:
    import tensorflow_datasets as tfds

    try:
        return tfds.builder(name)
    # Each dataset's own code runs here, and raises what it likes.
    except Exception as error:
        if is_known(name):
            reason = f"{name} ({first_line(error)})"
            raise InputError(f"Expected a dataset of TFDS. Received: {reason}") from error
        known = sorted({*tfds.list_builders(), *other_names})
        nearest = difflib.get_close_matches(base_name(name).lower(), known) or sorted(other_names)
        hint = f".{registry.HINT}" if name.isidentifier() else ""
        raise InputError(
            "Expected a dataset of TFDS, an embedded one or an image folder; nearest: "
            f"{', '.join(nearest)}. Received: {name}{hint}"
        ) from error


def _check_features(builder: tfds.core.DatasetBuilder, name: str) -> None:
    """Raises InputError unless the data are images with a class each."""
    import tensorflow_datasets as tfds

    features, keys = builder.info.features, builder.info.supervised_keys
    if keys is not None and len(keys) == 2 and all(isinstance(key, str) for key in keys):
        image, label = features[keys[0]], features[keys[1]]
        is_image = isinstance(image, tfds.features.Image) and image.np_dtype == np.uint8
        if (
            is_image
            and isinstance(label, tfds.features.ClassLabel)
            and (label.num_classes or 2) > 1
        ):
            return
    raise InputError(
        f"Expected a dataset of 8-bit images with one label each. Received: {name} with the "
        f"features {', '.join(features)}"
    )


def _prepare(builder: tfds.core.DatasetBuilder, name: str) -> None:
    try:
        builder.download_and_prepare()
    # Network, disk, checksums, files to be fetched by hand: every dataset raises its own.
    except Exception as error:
        raise OSError(
            f"Dataset {name} could not be downloaded or prepared: {first_line(error)}"
        ) from error


def _test_split(builder: tfds.core.DatasetBuilder) -> str:
    """`test` where its labels are public, else `validation`."""
    splits = builder.info.splits
    if "validation" not in splits:
        return "test"
    if "test" not in splits:
        return "validation"
    # Either all images have a label or none has: the first of them tell.
    first = min(100, splits["test"].num_examples)
    return "test" if _labels(builder, f"test[:{first}]").min() >= 0 else "validation"


def _read(
    builder: tfds.core.DatasetBuilder, split: str, order: tf.Tensor | None = None
) -> tf.data.Dataset:
    """Encoded images with labels, in the order they are stored in, or one that a number names."""
    import tensorflow_datasets as tfds

    image, _ = builder.info.supervised_keys
    try:
        return builder.as_dataset(
            split=split,
            as_supervised=True,
            shuffle_files=order is not None,
            decoders={image: tfds.decode.SkipDecoding()},
            read_config=tfds.ReadConfig(
                try_autocache=False, shuffle_seed=order, shuffle_reshuffle_each_iteration=False
            ),
        )
    except ValueError as error:
        raise InputError(
            "Expected a dataset with the splits train and test (or validation). "
            f"Received: {builder.name} with {', '.join(builder.info.splits)}"
        ) from error


def _records(builder: tfds.core.DatasetBuilder, split: str, limit: int | None) -> Records:
    _read(builder, split)  # whether there is such a split
    total = builder.info.splits[split].num_examples
    size = min(limit or total, total)

    def read(order: tf.Tensor | None) -> tf.data.Dataset:
        if order is None:
            return _read(builder, f"{split}[:{size}]")
        # Of this function's graph alone: without it the order would depend on the global seed too.
        tf.random.set_seed(1)
        records = _read(builder, f"{split}[:{size}]", order)
        return records.shuffle(BUFFER, seed=order, reshuffle_each_iteration=False)

    return Records(read, size)


def _labels(builder: tfds.core.DatasetBuilder, split: str) -> np.ndarray:
    batches = _read(builder, split).map(lambda image, label: label).batch(1024)
    return np.concatenate([*batches.as_numpy_iterator()]).astype(np.int32)


def _select(builder: tfds.core.DatasetBuilder, split: str, limit: int | None, seed: int) -> Encoded:
    """The chosen examples of a split, still encoded."""
    labels = _labels(builder, split)
    indices = limited_indices(labels, limit, seed)
    chosen = np.zeros(len(labels), bool)
    chosen[indices] = True
    mask = tf.constant(chosen)
    examples = _read(builder, split).enumerate().filter(lambda i, _: mask[i])
    images = examples.map(lambda _, example: example[0])

    def items(first: int, count: int):
        for i, contents in enumerate(images.skip(first).take(count), first):
            yield f"image {indices[i]} of the {split} split of {builder.name}", contents

    return Encoded(images.batch(CHUNK), labels[indices], items)
