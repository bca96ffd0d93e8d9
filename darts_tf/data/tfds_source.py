"""Image classification datasets of TensorFlow Datasets (TFDS), by name."""

from __future__ import annotations

import difflib
import io
import re
from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

from darts_tf import registry
from darts_tf.data.decoding import CHUNK, Encoded, decode_splits
from darts_tf.data.sizes import SAMPLE, Size, choose_size, square, stored_sizes
from darts_tf.data.splits import Records, Split, limited_indices
from darts_tf.errors import InputError, first_line

if TYPE_CHECKING:
    import tensorflow_datasets as tfds


BUFFER = 4096
"""Size of the shuffle buffer in encoded images: half a gigabyte for ImageNet."""


def base_name(name: str) -> str:
    """Returns a name without version and configuration.

    For example, `cifar10` for `cifar10:3.0.2`, `mnist_corrupted` for `mnist_corrupted/spatter`.
    """
    return re.split("[/:]", name)[0]


def is_known(name: str) -> bool:
    """Returns True if TFDS has code for the dataset."""
    import tensorflow_datasets as tfds

    return base_name(name) in tfds.list_builders()


def class_names(name: str) -> tuple[str, ...]:
    """Returns the classes of a dataset whose names TFDS knows without a download."""
    return tuple(_builder(name, ()).info.features["label"].names)


def load_tfds(
    name: str,
    *,
    image_size: int | None,
    limit: int | None,
    seed: int,
    max_bad_images: int,
    resize: str = "crop",
    other_names: Collection[str] = (),
) -> tuple[tuple[str, ...], Split, Split, Size, None, tuple[str, ...]]:
    """Loads a dataset of TFDS, and downloads it if necessary.

    Does the work of `tfds.load(name, split=[...], as_supervised=True)` in steps, so that features
    are checked before a download and only chosen images are decoded. Our own code decodes them, so
    that damaged images are left out as those of an image folder. A damaged record file of TFDS,
    which holds many images, raises TensorFlow's error.

    Args:
        name: as for `tfds.load`.
        image_size: side in pixels to resize to; None chooses a size, see `choose_size`.
        limit: maximum number of images to keep per split; None keeps all.
        seed: seed of that choice.
        max_bad_images: maximum number of damaged images among the chosen training images; they
            are left out.
        resize: how images are brought to a square, `crop` or `squeeze`.
        other_names: names, besides those of TFDS, to suggest for a mistyped name.

    Returns:
        `(classes, train, test, size, None, notes)`, the fields of `folder.Loaded`; if there is no
        labelled test split, test is `validation`.

    Raises:
        InputError: an unknown name, not an image classification dataset, missing splits, or raised
            by `decode_splits`.
        OSError: the download or preparation failed.
    """
    builder, classes = _prepared(name, other_names)
    train, test = (
        _select(builder, split, limit, seed) for split in ("train", _test_split(builder))
    )
    if image_size is None:
        items = train.items(0, min(SAMPLE, len(train.labels)))
        sizes = stored_sizes(io.BytesIO(contents.numpy()) for _, contents in items)
        size, note = choose_size(sizes, resize)
    else:
        size, note = square(image_size, resize), None
    options = {"size": size, "max_bad_images": max_bad_images}
    train, test, suspicions = decode_splits(train, test, classes, **options)
    return classes, train, test, size, None, (*([note] if note else []), *suspicions)


def stream_tfds(
    name: str, *, limit: int | None, other_names: Collection[str] = ()
) -> tuple[tuple[str, ...], Records, Records]:
    """Prepares a dataset of TFDS, as `load_tfds`, whose records are read while they are used.

    An epoch reads the files in random order, several at a time, and shuffles with a buffer of
    `BUFFER` records. A record that cannot be decoded raises TensorFlow's error when it is reached.

    Args:
        name: as for `tfds.load`.
        limit: number of images to keep per split, the first ones; None keeps all. TFDS stores most
            datasets in random order.
        other_names: names, besides those of TFDS, to suggest for a mistyped name.

    Returns:
        `(classes, train, test)`.

    Raises:
        InputError: as in `load_tfds`.
        OSError: as in `load_tfds`.
    """
    builder, classes = _prepared(name, other_names)
    splits = ("train", _test_split(builder))
    return classes, *(_records(builder, split, limit) for split in splits)


def _prepared(
    name: str, other_names: Collection[str]
) -> tuple[tfds.core.DatasetBuilder, tuple[str, ...]]:
    """Downloads and prepares a dataset if necessary; returns its builder and its classes."""
    builder = _builder(name, other_names)
    _check_features(builder, name)
    _prepare(builder, name)
    _, label = builder.info.supervised_keys
    # after the preparation, since some datasets have the names in their files only
    return builder, tuple(builder.info.features[label].names)


def _builder(name: str, other_names: Collection[str]) -> tfds.core.DatasetBuilder:
    import tensorflow_datasets as tfds

    try:
        return tfds.builder(name)
    # each dataset's own code runs here and may raise anything
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
    """Raises InputError unless the dataset has 8-bit images with one class each."""
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
    # errors of network, disk, checksums or manual downloads: each dataset raises other types
    except Exception as error:
        raise OSError(
            f"Dataset {name} could not be downloaded or prepared: {first_line(error)}"
        ) from error


def _test_split(builder: tfds.core.DatasetBuilder) -> str:
    """Returns `test` if its labels are public, otherwise `validation`."""
    splits = builder.info.splits
    if "validation" not in splits:
        return "test"
    if "test" not in splits:
        return "validation"
    # either all images have a label or none: the first ones suffice
    first = min(100, splits["test"].num_examples)
    return "test" if _labels(builder, f"test[:{first}]").min() >= 0 else "validation"


def _read(
    builder: tfds.core.DatasetBuilder, split: str, order: tf.Tensor | None = None
) -> tf.data.Dataset:
    """Reads encoded images with labels, in stored order, or in a random one with seed `order`."""
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
    _read(builder, split)  # raises if the split does not exist
    total = builder.info.splits[split].num_examples
    size = min(limit or total, total)

    def read(order: tf.Tensor | None) -> tf.data.Dataset:
        if order is None:
            return _read(builder, f"{split}[:{size}]")
        # sets the seed of this function's graph only; else the order depends on the global seed
        tf.random.set_seed(1)
        records = _read(builder, f"{split}[:{size}]", order)
        return records.shuffle(BUFFER, seed=order, reshuffle_each_iteration=False)

    return Records(read, size)


def _labels(builder: tfds.core.DatasetBuilder, split: str) -> np.ndarray:
    batches = _read(builder, split).map(lambda image, label: label).batch(1024)
    return np.concatenate([*batches.as_numpy_iterator()]).astype(np.int32)


def _select(builder: tfds.core.DatasetBuilder, split: str, limit: int | None, seed: int) -> Encoded:
    """Returns the chosen examples of a split, still encoded."""
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
