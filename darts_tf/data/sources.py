"""Image datasets by name: embedded ones, TensorFlow Datasets (TFDS), image folders and tables."""

from __future__ import annotations

import collections
import os
from collections.abc import Sequence

import numpy as np

from darts_tf import registry
from darts_tf.configs.text_datasets import EMBEDDED_TEXTS, absolute, is_text
from darts_tf.data.folder import Loaded, load_folder
from darts_tf.data.layouts import is_table
from darts_tf.data.preprocessing import Preprocessing, channel_statistics
from darts_tf.data.sizes import MIN_SIDE, Size, square
from darts_tf.data.splits import ImageDataset, Split, take
from darts_tf.data.tfds_source import base_name, is_known, load_tfds, stream_tfds
from darts_tf.data.user_dataset import ARRAYS, fitted, own_dataset
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
    resize: str = "crop",
    limit: int | None = None,
    seed: int = 0,
    max_bad_images: int = 0,
    streamed: bool = False,
    held_out: Sequence[str] | None = None,
) -> ImageDataset:
    """Loads a dataset into memory, or prepares it for streaming.

    An embedded or registered name takes precedence over a folder of that name (write `./digits`
    for the folder), and a folder over a name of TFDS. `layouts.find_layout` says which folders and
    tables are read.

    Up to `max_bad_images` training images that cannot be read or decoded are left out with their
    labels, each named in a warning of the logger `darts_tf`. They are the same images every time,
    in the order of the data. A damaged test image is always an error: without it the test set
    would silently differ, and results could not be compared with others'.

    A streamed dataset may be larger than memory: its images are decoded while they are used, and
    have three channels. The ends of image files are read beforehand, and files damaged there are
    left out in the same way. If a file proves to be damaged later, training stops with its name.
    Records of TFDS cannot be left out. A folder whose decoded images would take too much memory is
    streamed in any case.

    Args:
        name_or_folder: an entry of `EMBEDDED`, an image folder, a table of images (`.csv`), or a
            name of TFDS.
        image_size: side in pixels to which all images are resized (antialiased), 8 or more; None
            chooses one (`decoding.choose_size`), and means 224 for streamed images.
        resize: how images are brought to a square: `crop` resizes the shorter side and crops the
            centre, `squeeze` changes the aspect ratio.
        limit: maximum number of images to keep per split, in proportion to the classes; None
            keeps all.
        seed: seed of that choice.
        max_bad_images: maximum number of damaged training images among those that `limit` has
            chosen; they are left out and not replaced. One more is an error, and so is a class
            without any image left.
        streamed: for random resized crops: read and decode images while they are used. Test images
            are resized by their shorter side, with a margin, and cropped at the centre. For TFDS
            `limit` then takes the first images.
        held_out: names of the test images, `ImageDataset.held_out` of an earlier run on a folder
            that has no test images of its own.

    Returns:
        The dataset. Its preprocessing normalises by the statistics of its own training images, or
        by the published ones; by those of ImageNet if it is streamed.

    Raises:
        InputError: an unknown name, bad data or a bad value; the message is one line.
        OSError: a download failed.
    """
    name = os.fspath(name_or_folder)
    if name == ARRAYS:
        raise InputError(
            "Expected a dataset that can be loaded. Received: the arrays that a program has given, "
            "which only it has: darts_tf.evaluate_network and export_network take them as `data`"
        )
    if is_text(name):
        raise InputError(f"Expected a dataset of images. Received: {name}, which is a text")
    if image_size is not None and image_size < MIN_SIDE:
        expected = f"{MIN_SIDE} pixels or more"
        raise InputError(f"`image_size` expected {expected}. Received: image_size={image_size}")
    if max_bad_images < 0:
        received = f"max_bad_images={max_bad_images}"
        raise InputError(f"`max_bad_images` expected 0 or more. Received: {received}")
    options = {"image_size": image_size, "limit": limit, "seed": seed, "resize": resize}
    damaged = {"max_bad_images": max_bad_images}
    if streamed:
        options["image_size"] = image_size or STREAMED_SIZE
    published = None
    if name in EMBEDDED:
        if streamed:
            raise InputError(
                "Expected an image folder or a dataset of TFDS to read while it is used "
                f"(random_resized_crop). Received: {name}, which is in memory"
            )
        loaded, published = _load_embedded(name, **options)
    elif _is_folder(name):
        loaded = load_folder(name, **options, **damaged, held_out=held_out, streamed=streamed)
        name = absolute(name)
    elif streamed:
        loaded = _streamed_tfds(name, options["image_size"], limit, max_bad_images)
    else:
        names = (*EMBEDDED, *EMBEDDED_TEXTS)
        loaded = Loaded(*load_tfds(name, **options, **damaged, other_names=names))
        published = PUBLISHED_STATISTICS.get(base_name(name))
    if isinstance(loaded.train, Split):
        mean, std = published or channel_statistics(loaded.train.images)
    else:
        mean, std = PUBLISHED_STATISTICS["imagenet2012"]
    height, width, shorter_side = loaded.size
    channels = loaded.train.images.shape[-1] if isinstance(loaded.train, Split) else 3
    if streamed:
        shorter_side = round(height * SHORTER_SIDE)
    preprocessing = Preprocessing(height, width, channels, mean, std, shorter_side)
    splits = loaded.classes, loaded.train, loaded.test
    return ImageDataset(name, *splits, preprocessing, loaded.held_out, loaded.notes)


def lasting_name(name_or_folder: str) -> str:
    """Returns a dataset's name that is valid in any working directory.

    For a folder it is the absolute path.
    """
    name = os.fspath(name_or_folder)
    embedded = name in EMBEDDED or name in EMBEDDED_TEXTS
    return absolute(name) if not embedded and _is_folder(name) else name


def _streamed_tfds(name: str, image_size: int, limit: int | None, max_bad_images: int) -> Loaded:
    if max_bad_images:
        raise InputError(
            "`max_bad_images` expected 0 for a streamed dataset of TFDS, whose records cannot be "
            f"left out. Received: max_bad_images={max_bad_images}"
        )
    embedded = (*EMBEDDED, *EMBEDDED_TEXTS)
    splits = stream_tfds(name, limit=limit, other_names=embedded)
    return Loaded(*splits, square(image_size, "crop"), None, ())


def _is_folder(name: str) -> bool:
    separators = {os.sep, os.altsep or os.sep}
    looks_like_path = name.startswith("~") or any(s in name for s in separators)
    # names of TFDS configurations contain a slash, too: mnist_corrupted/spatter
    if is_table(name) or os.path.isdir(os.path.expanduser(name)):
        return True
    return looks_like_path and not is_known(name)


def _load_embedded(
    name: str, *, image_size: int | None, limit: int | None, seed: int, resize: str
) -> tuple[Loaded, tuple | None]:
    loaded = EMBEDDED[name]()
    classes, *splits, published = (
        own_dataset(name, loaded) if name in registry.DATASETS else (*loaded, None)
    )
    own_size = Size(*splits[0].images.shape[1:3])
    size = own_size if image_size is None else square(image_size, resize)
    splits = [fitted(split, size, limit, seed) for split in splits]
    return Loaded(classes, *splits, size, None, ()), published
