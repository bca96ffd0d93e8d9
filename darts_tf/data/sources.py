"""Datasets by name: embedded ones, those of TFDS, image folders."""

from __future__ import annotations

import os

import numpy as np

from darts_tf.data.decoding import MAX_SIDE, MIN_SIDE
from darts_tf.data.folder import load_folder
from darts_tf.data.preprocessing import Preprocessing, channel_statistics, resize
from darts_tf.data.splits import ImageDataset, Split, limited_indices, take
from darts_tf.data.tfds_source import base_name, is_known, load_tfds
from darts_tf.errors import InputError

# Mean and standard deviation that published networks were trained with. Every other dataset is
# normalised by the statistics of its own training images.
PUBLISHED_STATISTICS = {
    "cifar10": (
        (0.49139968, 0.48215827, 0.44653124),
        (0.24703233, 0.24348505, 0.26158768),
    ),
    "imagenet2012": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
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
    max_bad_images: int = 0,
) -> ImageDataset:
    """Loads a dataset into memory.

    An embedded name wins over a folder of that name (write `./digits` for the folder), a folder
    wins over a name of TFDS.

    A training image that cannot be read or decoded is left out together with its label, and named
    in a warning of the logger `darts_tf`, as long as there are at most `max_bad_images` of them.
    It is the same images every time, in the order of the data. A damaged test image is always an
    error: without it, what is measured would silently be something else, and its numbers could
    not be compared with others'. An image of another size than the others is not damaged.

    Args:
        name_or_folder: an entry of `EMBEDDED`, an image folder, or a name of TFDS.
        image_size: side in pixels that all images are resized to (antialiased), 8 to 224; None
            keeps the size that all images have in common.
        limit: most images to keep of each split, every class by its share; None keeps all.
        seed: of that choice.
        max_bad_images: how many damaged training images to leave out, of those that `limit` has
            chosen; no others take their places. One more is an error, and so is a class of
            which nothing is left.

    Returns:
        The dataset; its preprocessing normalises by the statistics of its own training images,
        or by the published ones.

    Raises:
        InputError: an unknown name, bad data or a bad value; one line that says which.
        OSError: a download failed.
    """
    name = os.fspath(name_or_folder)
    if image_size is not None and not MIN_SIDE <= image_size <= MAX_SIDE:
        expected = f"{MIN_SIDE} to {MAX_SIDE} pixels"
        raise InputError(f"`image_size` expected {expected}. Received: image_size={image_size}")
    if max_bad_images < 0:
        received = f"max_bad_images={max_bad_images}"
        raise InputError(f"`max_bad_images` expected 0 or more. Received: {received}")
    options = {"image_size": image_size, "limit": limit, "seed": seed}
    damaged = {"max_bad_images": max_bad_images}
    published = None
    if name in EMBEDDED:
        classes, train, test = _load_embedded(name, **options)
    elif _is_folder(name):
        classes, train, test = load_folder(name, **options, **damaged)
        name = _absolute(name)
    else:
        classes, train, test = load_tfds(name, **options, **damaged, other_names=EMBEDDED)
        published = PUBLISHED_STATISTICS.get(base_name(name))
    mean, std = published or channel_statistics(train.images)
    preprocessing = Preprocessing(*train.images.shape[1:], mean, std)
    return ImageDataset(name, classes, train, test, preprocessing)


def lasting_name(name_or_folder: str) -> str:
    """The same dataset's name from any working directory: of a folder its absolute path."""
    name = os.fspath(name_or_folder)
    return _absolute(name) if name not in EMBEDDED and _is_folder(name) else name


def _absolute(folder: str) -> str:
    return os.path.abspath(os.path.expanduser(folder))


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
