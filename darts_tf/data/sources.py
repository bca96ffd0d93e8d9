"""Datasets by name: embedded ones, those of TFDS, image folders."""

from __future__ import annotations

import collections
import os

import numpy as np

from darts_tf import registry
from darts_tf.configs.text_datasets import EMBEDDED_TEXTS, absolute, is_text
from darts_tf.data.decoding import MAX_SIDE, MIN_SIDE
from darts_tf.data.folder import load_folder, stream_folder
from darts_tf.data.preprocessing import Preprocessing, channel_statistics, resize
from darts_tf.data.splits import ImageDataset, Split, limited_indices, take
from darts_tf.data.tfds_source import base_name, is_known, load_tfds, stream_tfds
from darts_tf.data.user_dataset import own_dataset
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

STREAMED_SIZE = 224
"""Side in pixels of streamed images, where no other is asked for."""
SHORTER_SIDE = 256 / 224
"""Side that the shorter one of streamed test images is resized to, over that of their crop."""


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


EMBEDDED = collections.ChainMap(registry.DATASETS, {"digits": load_digits})
"""Those that need no file and no download, and those that users have registered."""


def load_dataset(
    name_or_folder: str,
    *,
    image_size: int | None = None,
    limit: int | None = None,
    seed: int = 0,
    max_bad_images: int = 0,
    streamed: bool = False,
) -> ImageDataset:
    """Loads a dataset into memory, or prepares to read it while it is used.

    An embedded name, and one that a user has registered, wins over a folder of that name (write
    `./digits` for the folder), a folder wins over a name of TFDS.

    A training image that cannot be read or decoded is left out together with its label, and named
    in a warning of the logger `darts_tf`, as long as there are at most `max_bad_images` of them.
    It is the same images every time, in the order of the data. A damaged test image is always an
    error: without it, what is measured would silently be something else, and its numbers could
    not be compared with others'. An image of another size than the others is not damaged.

    A streamed dataset may be larger than memory, and its images, in three channels, of any sizes.
    It is for random resized crops; test images are resized by their shorter side and cropped in the
    middle. Of image files the ends are read beforehand, and those that are damaged there are left
    out in the same way; with one that turns out to be damaged later, training stops and names it.
    Records of TFDS cannot be left out.

    Args:
        name_or_folder: an entry of `EMBEDDED`, an image folder, or a name of TFDS.
        image_size: side in pixels that all images are resized to (antialiased), 8 to 224; None
            keeps the size that all images have in common, and is 224 for streamed ones.
        limit: most images to keep of each split, every class by its share; None keeps all.
        seed: of that choice.
        max_bad_images: how many damaged training images to leave out, of those that `limit` has
            chosen; no others take their places. One more is an error, and so is a class of
            which nothing is left.
        streamed: read and decode images while they are used. Of TFDS `limit` then takes the first
            images.

    Returns:
        The dataset; its preprocessing normalises by the statistics of its own training images,
        or by the published ones: those of ImageNet, if it is streamed.

    Raises:
        InputError: an unknown name, bad data or a bad value; one line that says which.
        OSError: a download failed.
    """
    name = os.fspath(name_or_folder)
    if is_text(name):
        raise InputError(f"Expected a dataset of images. Received: {name}, which is a text")
    if image_size is not None and not MIN_SIDE <= image_size <= MAX_SIDE:
        expected = f"{MIN_SIDE} to {MAX_SIDE} pixels"
        raise InputError(f"`image_size` expected {expected}. Received: image_size={image_size}")
    if max_bad_images < 0:
        received = f"max_bad_images={max_bad_images}"
        raise InputError(f"`max_bad_images` expected 0 or more. Received: {received}")
    if streamed:
        return _streamed(name, image_size or STREAMED_SIZE, limit, seed, max_bad_images)
    options = {"image_size": image_size, "limit": limit, "seed": seed}
    damaged = {"max_bad_images": max_bad_images}
    published = None
    if name in EMBEDDED:
        classes, train, test, published = _load_embedded(name, **options)
    elif _is_folder(name):
        classes, train, test = load_folder(name, **options, **damaged)
        name = absolute(name)
    else:
        classes, train, test = load_tfds(
            name, **options, **damaged, other_names=(*EMBEDDED, *EMBEDDED_TEXTS)
        )
        published = PUBLISHED_STATISTICS.get(base_name(name))
    mean, std = published or channel_statistics(train.images)
    preprocessing = Preprocessing(*train.images.shape[1:], mean, std)
    return ImageDataset(name, classes, train, test, preprocessing)


def lasting_name(name_or_folder: str) -> str:
    """The same dataset's name from any working directory: of a folder its absolute path."""
    name = os.fspath(name_or_folder)
    embedded = name in EMBEDDED or name in EMBEDDED_TEXTS
    return absolute(name) if not embedded and _is_folder(name) else name


def _streamed(
    name: str, image_size: int, limit: int | None, seed: int, max_bad_images: int
) -> ImageDataset:
    if name in EMBEDDED:
        raise InputError(
            "Expected an image folder or a dataset of TFDS to read while it is used "
            f"(random_resized_crop). Received: {name}, which is in memory"
        )
    if _is_folder(name):
        options = {"limit": limit, "seed": seed, "max_bad_images": max_bad_images}
        classes, train, test = stream_folder(name, **options)
        name = absolute(name)
    elif max_bad_images:
        raise InputError(
            "`max_bad_images` expected 0 for a streamed dataset of TFDS, whose records cannot be "
            f"left out. Received: max_bad_images={max_bad_images}"
        )
    else:
        embedded = (*EMBEDDED, *EMBEDDED_TEXTS)
        classes, train, test = stream_tfds(name, limit=limit, other_names=embedded)
    mean, std = PUBLISHED_STATISTICS["imagenet2012"]
    shorter_side = round(image_size * SHORTER_SIDE)
    preprocessing = Preprocessing(image_size, image_size, 3, mean, std, shorter_side)
    return ImageDataset(name, classes, train, test, preprocessing)


def _is_folder(name: str) -> bool:
    separators = {os.sep, os.altsep or os.sep}
    looks_like_path = name.startswith("~") or any(s in name for s in separators)
    # Configurations of TFDS have a slash too: mnist_corrupted/spatter.
    return os.path.isdir(name) or (looks_like_path and not is_known(name))


def _load_embedded(
    name: str, *, image_size: int | None, limit: int | None, seed: int
) -> tuple[tuple[str, ...], Split, Split, tuple | None]:
    loaded = EMBEDDED[name]()
    classes, *splits, published = (
        own_dataset(name, loaded) if name in registry.DATASETS else (*loaded, None)
    )
    splits = [take(split, limited_indices(split.labels, limit, seed)) for split in splits]
    if image_size is not None:
        splits = [
            Split(resize(images, image_size, image_size).numpy(), labels)
            for images, labels in splits
        ]
    return classes, *splits, published
