"""What a split is, in memory or still encoded, and how it is halved and limited."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from darts_tf.data.preprocessing import Preprocessing
from darts_tf.data.random_streams import HALVES, LIMIT, permutation
from darts_tf.errors import InputError


class Split(NamedTuple):
    """Images and labels of one split, in memory.

    Attributes:
        images: uint8, `(n, height, width, channels)`, values 0 to 255.
        labels: int32, `(n,)`, positions in the dataset's `classes`.
    """

    images: np.ndarray
    labels: np.ndarray

    @property
    def size(self) -> int:
        """How many images there are."""
        return len(self.labels)


class Files(NamedTuple):
    """Image files of one split, which are decoded when a batch needs them.

    Attributes:
        paths: sorted by class and name.
        labels: int32, `(n,)`, positions in the dataset's `classes`.
    """

    paths: list[str]
    labels: np.ndarray

    @property
    def size(self) -> int:
        """How many images there are."""
        return len(self.labels)


class Records(NamedTuple):
    """Encoded images of one split that can be read one after another only.

    Attributes:
        read: makes a dataset of all `(contents, label)`, scalars, string and integer, inside the
            graph of a function. An int64 scalar names the order; None is the order stored.
        size: how many images there are.
    """

    read: Callable[[tf.Tensor | None], tf.data.Dataset]
    size: int


AnySplit = Split | Files | Records
"""A split in memory, or one that is decoded while it is used."""


@dataclasses.dataclass(frozen=True)
class ImageDataset:
    """A classification dataset.

    Attributes:
        name: the name or folder it was loaded from.
        classes: the labels' names.
        train: the training images.
        test: the test images.
        preprocessing: how an encoded or raw image becomes the networks' input.
    """

    name: str
    classes: tuple[str, ...]
    train: AnySplit
    test: AnySplit
    preprocessing: Preprocessing


def take(split: Split | Files, indices: np.ndarray) -> Split | Files:
    """The images and labels of `split` at `indices`, in that order."""
    if isinstance(split, Files):
        return Files([split.paths[i] for i in indices], split.labels[indices])
    return Split(split.images[indices], split.labels[indices])


def split_halves(split: Split, seed: int) -> tuple[Split, Split]:
    """Halves a training split at random: images for the weights, images for the alphas.

    The bilevel problem needs two disjoint sets (Liu et al. 2019, section 2.3). Of an odd number
    of images the alphas' half gets the larger part.

    Args:
        split: at least two images.
        seed: names the permutation that is cut in the middle.

    Returns:
        `(weights_half, alphas_half)`.

    Raises:
        InputError: fewer than two images.
    """
    size = len(split.labels)
    if size < 2:
        raise InputError(f"Expected at least 2 images to split in halves. Received: images={size}")
    order = permutation(size, seed, HALVES)
    return take(split, order[: size // 2]), take(split, order[size // 2 :])


def held_out(dataset: ImageDataset, share: float, seed: int) -> ImageDataset:
    """The dataset with a part of its training images in place of the test split.

    Args:
        dataset: its test split is left out.
        share: of the training images, above 0 and below 1; of every class, and one at least.
        seed: names the choice.

    Raises:
        InputError: a streamed dataset, or a class with too few images to be parted so.
    """
    train = dataset.train
    if isinstance(train, Records):
        raise InputError(
            "Expected a dataset in memory or in image files to hold a part of it out. "
            f"Received: {dataset.name}, which is streamed"
        )
    there = np.unique(train.labels)
    held = limited_indices(train.labels, max(round(share * train.size), len(there)), seed)
    kept = np.setdiff1d(np.arange(train.size), held)
    for label in np.setdiff1d(there, train.labels[kept]):
        raise InputError(
            f"Expected enough images of every class to hold {share:g} of them out and train on "
            f"some. Received: {np.sum(train.labels == label)} of {dataset.classes[label]!r}"
        )
    return dataclasses.replace(dataset, train=take(train, kept), test=take(train, held))


def limited_indices(labels: np.ndarray, limit: int | None, seed: int) -> np.ndarray:
    """Chooses at most `limit` examples, every class by its share and none left out.

    Args:
        labels: integers, `(n,)`.
        limit: how many examples to keep; None keeps all.
        seed: names the choice inside each class.

    Returns:
        int64 indices, ascending.

    Raises:
        InputError: `limit` is smaller than the number of classes in `labels`.
    """
    if limit is None or limit >= len(labels):
        return np.arange(len(labels))
    classes, counts = np.unique(labels, return_counts=True)
    if limit < len(classes):
        raise InputError(
            f"`limit` expected at least {len(classes)}, one image a class. Received: limit={limit}"
        )
    chosen = []
    for label, quota in zip(classes, _quotas(counts, limit), strict=True):
        members = np.flatnonzero(labels == label)
        order = permutation(len(members), seed, LIMIT, int(label))
        chosen.append(members[order[:quota]])
    return np.sort(np.concatenate(chosen))


def _quotas(counts: np.ndarray, limit: int) -> np.ndarray:
    """Shares `limit` out in proportion to `counts`, at least 1 each (largest remainders first)."""
    exact = counts * (limit / counts.sum())
    quotas = np.maximum(1, np.floor(exact).astype(int))
    while quotas.sum() > limit:
        quotas[np.argmax(np.where(quotas > 1, quotas - exact, -np.inf))] -= 1
    while quotas.sum() < limit:
        quotas[np.argmax(np.where(quotas < counts, exact - quotas, -np.inf))] += 1
    return quotas


def as_read_by(preprocessing: Preprocessing, split: AnySplit) -> AnySplit:
    """A split in the channels that a network reads.

    A few images may all be gray, and so have one channel, where their whole dataset has three.
    """
    if not isinstance(split, Split) or split.images.shape[-1] > 1:
        return split
    return split._replace(images=np.repeat(split.images, preprocessing.channels, -1))
