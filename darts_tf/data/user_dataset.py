"""Datasets loaded by users' functions: checks what such a function returns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from darts_tf.data.splits import ImageDataset, Split
from darts_tf.errors import InputError, shown

Statistics = tuple[tuple[float, ...], tuple[float, ...]]


def own_dataset(name: str, loaded) -> tuple[tuple[str, ...], Split, Split, Statistics | None]:
    """Checks and converts what a user's function has returned.

    Args:
        name: name of the dataset, for errors.
        loaded: `((images, labels), (images, labels))` of training and test, optionally followed by
            the names of the classes. Images are uint8 `(n, height, width)` or `(n, height, width,
            channels)`, values 0 to 255, 1 or 3 channels; labels are integers `(n,)`, from 0.
            `load_data` of `keras.datasets` returns this form. Or an `ImageDataset` in memory, whose
            statistics are kept.

    Returns:
        `(classes, train, test, statistics)`; the statistics are None if they must be computed.

    Raises:
        InputError: `loaded` has another form.
    """
    statistics, classes = None, None
    if isinstance(loaded, ImageDataset):
        statistics = (loaded.preprocessing.mean, loaded.preprocessing.std)
        loaded = (loaded.train, loaded.test, loaded.classes)
    if not isinstance(loaded, list | tuple) or len(loaded) not in (2, 3):
        raise _refused(name, "(images, labels) of training and test, and classes", shown(loaded))
    pairs, more = loaded[:2], loaded[2:]
    if any(not isinstance(pair, list | tuple) or len(pair) != 2 for pair in pairs):
        raise _refused(name, "two pairs (images, labels)", shown(loaded))
    train, test = (_split(name, *pair) for pair in pairs)
    if train.images.shape[1:] != test.images.shape[1:]:
        shapes = f"{train.images.shape[1:]} and {test.images.shape[1:]}"
        raise _refused(name, "training and test images of one size", shapes)
    most = max(int(train.labels.max()), int(test.labels.max()))
    classes = _classes(name, more[0]) if more else tuple(map(str, range(most + 1)))
    if most >= len(classes):
        raise _refused(name, f"labels from 0 to {len(classes) - 1}", f"a label {most}")
    if len(classes) < 2:
        raise _refused(name, "two classes or more", len(classes))
    return classes, train, test, statistics


def _split(name: str, images, labels) -> Split:
    images, labels = np.asarray(images), np.asarray(labels)
    if images.ndim == 3:
        images = images[..., None]
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[-1] not in (1, 3):
        wanted = "images uint8 (n, height, width, channels), values 0 to 255, 1 or 3 channels"
        raise _refused(name, wanted, f"{images.dtype} {images.shape}")
    if labels.shape == (len(images), 1):
        labels = labels[:, 0]
    if labels.dtype.kind not in "iu" or labels.shape != (len(images),) or not len(images):
        wanted = f"labels, integers ({len(images)},), one an image and one image at least"
        raise _refused(name, wanted, f"{labels.dtype} {labels.shape}")
    if labels.min() < 0:
        raise _refused(name, "labels from 0", labels.min())
    return Split(images, labels.astype(np.int32))


def _classes(name: str, classes: Sequence[str]) -> tuple[str, ...]:
    known = () if isinstance(classes, str) else tuple(classes)
    if not known or len(set(map(str, known))) < len(known):
        raise _refused(name, "a list of different names as classes", shown(classes))
    return tuple(map(str, known))


def _refused(name: str, expected: str, received) -> InputError:
    return InputError(f"Expected the dataset {name} to load {expected}. Received: {received}")
