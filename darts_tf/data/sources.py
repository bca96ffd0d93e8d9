"""Datasets by name: embedded ones, those of TFDS, image folders."""

from __future__ import annotations

import os

import numpy as np

from darts_tf.data.decoding import MAX_SIDE, MIN_SIDE
from darts_tf.data.folder import load_folder
from darts_tf.data.preprocessing import Preprocessing, channel_statistics, resize
from darts_tf.data.splits import ImageDataset, Split, limited_indices, take
from darts_tf.data.tfds_source import base_name, is_known, load_tfds

# Mean and standard deviation that published networks were trained with. Every other dataset is
# normalised by the statistics of its own training images.
PUBLISHED_STATISTICS = {
    "cifar10": (
        (0.49139968, 0.48215827, 0.44653124),
        (0.24703233, 0.24348505, 0.26158768),
    ),
}


def load_digits() -> tuple[tuple[str, ...], Split, Split]:
    """Scikit-learn's handwritten digits: 1797 gray images of 8x8 pixels, 10 classes.

    In each class every fifth image, in the order of the data, is a test image.

    Returns:
        `(classes, train, test)`, grays 0 to 16 scaled to 0 to 255.
    """
    from sklearn.datasets import load_digits as load

    data = load()
    images = np.round(data.images[..., None] * (255 / 16)).astype(np.uint8)
    labels = data.target.astype(np.int32)
    is_test = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        is_test[np.flatnonzero(labels == label)[::5]] = True
    everything = Split(images, labels)
    classes = tuple(str(name) for name in data.target_names)
    return classes, take(everything, ~is_test), take(everything, is_test)


EMBEDDED = {"digits": load_digits}


def load_dataset(
    name_or_folder: str,
    *,
    image_size: int | None = None,
    limit: int | None = None,
    seed: int = 0,
) -> ImageDataset:
    """Loads a dataset into memory.

    An embedded name wins over a folder of that name (write `./digits` for the folder), a folder
    wins over a name of TFDS.

    Args:
        name_or_folder: an entry of `EMBEDDED`, an image folder, or a name of TFDS.
        image_size: side in pixels that all images are resized to (antialiased), 8 to 224; None
            keeps the size that all images have in common.
        limit: most images to keep of each split, every class by its share; None keeps all.
        seed: of that choice.

    Returns:
        The dataset; its preprocessing normalises by the statistics of its own training images,
        or by the published ones.

    Raises:
        ValueError: an unknown name, bad data or a bad value; one line that says which.
        OSError: a download failed.
    """
    name = os.fspath(name_or_folder)
    if image_size is not None and not MIN_SIDE <= image_size <= MAX_SIDE:
        expected = f"{MIN_SIDE} to {MAX_SIDE} pixels"
        raise ValueError(f"`image_size` expected {expected}. Received: image_size={image_size}")
    options = {"image_size": image_size, "limit": limit, "seed": seed}
    published = None
    if name in EMBEDDED:
        classes, train, test = _load_embedded(name, **options)
    elif _is_folder(name):
        classes, train, test = load_folder(name, **options)
        name = os.path.abspath(os.path.expanduser(name))
    else:
        classes, train, test = load_tfds(name, **options, other_names=EMBEDDED)
        published = PUBLISHED_STATISTICS.get(base_name(name))
    mean, std = published or channel_statistics(train.images)
    preprocessing = Preprocessing(*train.images.shape[1:], mean, std)
    return ImageDataset(name, classes, train, test, preprocessing)


def _is_folder(name: str) -> bool:
    separators = {os.sep, os.altsep or os.sep}
    looks_like_path = name.startswith("~") or any(s in name for s in separators)
    # Configurations of TFDS have a slash too: mnist_corrupted/spatter.
    return os.path.isdir(name) or (looks_like_path and not is_known(name))


def _load_embedded(
    name: str, *, image_size: int | None, limit: int | None, seed: int
) -> tuple[tuple[str, ...], Split, Split]:
    classes, *splits = EMBEDDED[name]()
    splits = [take(split, limited_indices(split.labels, limit, seed)) for split in splits]
    if image_size is not None:
        splits = [
            Split(resize(images, image_size, image_size).numpy(), labels)
            for images, labels in splits
        ]
    return classes, *splits
