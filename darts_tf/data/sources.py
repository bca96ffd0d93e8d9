"""Image datasets by name: embedded ones, TensorFlow Datasets (TFDS), image folders."""

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

PUBLISHED_STATISTICS = {
    "cifar10": (
        (0.49139968, 0.48215827, 0.44653124),
        (0.24703233, 0.24348505, 0.26158768),
    ),
    "imagenet2012": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
}
"""Mean and standard deviation per channel with which published networks were trained.

Every other dataset is normalised by the statistics of its own training images.
"""

STREAMED_SIZE = 224
"""Default side of streamed images in pixels."""
SHORTER_SIDE = 256 / 224
"""Shorter side of streamed test images after resizing, as a multiple of their crop's side."""


def load_digits() -> tuple[tuple[str, ...], Split, Split]:
    """Loads scikit-learn's handwritten digits: 1797 grayscale images of 8x8 pixels, 10 classes.

    In each class every fifth image, in the order of the data, is a test image.

    Returns:
        `(classes, train, test)`; gray values 0 to 16 are scaled to 0 to 255.
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
"""Datasets without a file or a download, and datasets that users have registered."""


def load_dataset(
    name_or_folder: str,
    *,
    image_size: int | None = None,
    limit: int | None = None,
    seed: int = 0,
    max_bad_images: int = 0,
    streamed: bool = False,
) -> ImageDataset:
    """Loads a dataset into memory, or prepares it for streaming.

    An embedded or registered name takes precedence over a folder of that name (write `./digits`
    for the folder), and a folder over a name of TFDS.

    Up to `max_bad_images` training images that cannot be read or decoded are left out with their
    labels, each named in a warning of the logger `darts_tf`. They are the same images every time,
    in the order of the data. A damaged test image is always an error: without it the test set
    would silently differ, and results could not be compared with others'. An image whose size
    differs from the others' is not damaged.

    A streamed dataset may be larger than memory. Its images have three channels and any size. It
    needs random resized crops; test images are resized by their shorter side and cropped at the
    centre. The ends of image files are read beforehand, and files damaged there are left out in
    the same way. If a file proves to be damaged later, training stops with its name. Records of
    TFDS cannot be left out.

    Args:
        name_or_folder: an entry of `EMBEDDED`, an image folder, or a name of TFDS.
        image_size: side in pixels to which all images are resized (antialiased), 8 to 224; None
            keeps the images' common size, and means 224 for streamed images.
        limit: maximum number of images to keep per split, in proportion to the classes; None
            keeps all.
        seed: seed of that choice.
        max_bad_images: maximum number of damaged training images among those that `limit` has
            chosen; they are left out and not replaced. One more is an error, and so is a class
            without any image left.
        streamed: read and decode images while they are used. For TFDS `limit` then takes the first
            images.

    Returns:
        The dataset. Its preprocessing normalises by the statistics of its own training images, or
        by the published ones; by those of ImageNet if it is streamed.

    Raises:
        InputError: an unknown name, bad data or a bad value; the message is one line.
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
    """Returns a dataset's name that is valid in any working directory.

    For a folder it is the absolute path.
    """
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
    # names of TFDS configurations contain a slash, too: mnist_corrupted/spatter
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
