"""Splits of a dataset, in memory or encoded, and how they are halved and limited."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import pathlib
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
        labels: int32, `(n,)`, indices in the dataset's `classes`.
    """

    images: np.ndarray
    labels: np.ndarray

    def __repr__(self) -> str:
        """Writes the shape in place of the pixels."""
        return f"Split({self.images.dtype} {self.images.shape})"

    @property
    def size(self) -> int:
        """Number of images."""
        return len(self.labels)


class Files(NamedTuple):
    """Image files of one split, which are decoded when a batch needs them.

    Attributes:
        paths: paths of the files, sorted by class and name.
        labels: int32, `(n,)`, indices in the dataset's `classes`.
    """

    paths: list[str]
    labels: np.ndarray

    def __repr__(self) -> str:
        """Writes the number of files in place of their paths."""
        return f"Files({self.size:,})"

    @property
    def size(self) -> int:
        """Number of images."""
        return len(self.labels)


class Records(NamedTuple):
    """Encoded images of one split that can only be read in sequence.

    Attributes:
        read: makes a dataset of all `(contents, label)`, a string and an integer scalar, inside the
            graph of a function. Its argument is an int64 scalar, the seed of a random order, or
            None for the stored order.
        size: number of images.
    """

    read: Callable[[tf.Tensor | None], tf.data.Dataset]
    size: int


AnySplit = Split | Files | Records
"""Split in memory, or one that is decoded while it is used."""


SIZES_HASHED = 1000
"""Most files of a split whose sizes are in a dataset's digest: each is a request to the disk."""


@dataclasses.dataclass(frozen=True)
class ImageDataset:
    """Image classification dataset.

    Attributes:
        name: name or folder from which it was loaded.
        classes: names of the labels.
        train: training images.
        test: test images.
        preprocessing: conversion of an encoded or raw image to a network's input.
        held_out: names of the test images if they were held out of a folder that has none of its
            own, see `layouts.Layout`; otherwise None.
        notes: lines for the user about the folder and its images.
    """

    name: str
    classes: tuple[str, ...]
    train: AnySplit
    test: AnySplit
    preprocessing: Preprocessing
    held_out: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()

    def digest(self) -> str | None:
        """Returns a SHA-256 of the images and labels, which a run saves and compares on resume.

        Of files, the names are hashed, and the sizes of some of them. None for records, which would
        have to be read as a whole.
        """
        splits = (self.train, self.test)
        if any(isinstance(split, Records) for split in splits):
            return None
        digest = hashlib.sha256()
        for split in splits:
            if isinstance(split, Files):
                names = ("/".join(pathlib.PurePath(path).parts[-2:]) for path in split.paths)
                sizes = map(os.path.getsize, split.paths[:: 1 + split.size // SIZES_HASHED])
                digest.update(os.fsencode("\n".join([*names, *map(str, sizes)])))
            else:
                digest.update(np.ascontiguousarray(split.images))
            digest.update(split.labels.astype("<i4").tobytes())
        return digest.hexdigest()

    def __str__(self) -> str:
        """Writes sizes and number of classes in one line."""
        size = self.preprocessing
        kind = "grayscale" if size.channels == 1 else "color"
        return (
            f"{self.name}: {self.train.size:,} training and {self.test.size:,} test images, "
            f"{size.height}x{size.width} {kind}, {len(self.classes)} classes"
        )

    def __repr__(self) -> str:
        """Writes `str` of it in brackets: pixels and paths would fill pages."""
        return f"<ImageDataset {self}>"


def take(split: Split | Files, indices: np.ndarray) -> Split | Files:
    """Returns the images and labels of `split` at `indices`, in that order."""
    if isinstance(split, Files):
        return Files([split.paths[i] for i in indices], split.labels[indices])
    return Split(split.images[indices], split.labels[indices])


def split_halves(split: Split, seed: int, number: int = 0) -> tuple[Split, Split]:
    """Divides a training split at random into images for the weights and images for the alphas.

    The bilevel problem needs two disjoint sets (Liu et al. 2019, section 2.3). If the number of
    images is odd, the alphas' half is larger by one.

    Args:
        split: a split of at least two images.
        seed: seed of the permutation that is cut in the middle.
        number: number of the division; those of one seed are independent of each other.

    Returns:
        `(weights_half, alphas_half)`.

    Raises:
        InputError: fewer than two images.
    """
    size = len(split.labels)
    if size < 2:
        raise InputError(f"Expected at least 2 images to split in halves. Received: images={size}")
    order = permutation(size, seed, HALVES, number)
    return take(split, order[: size // 2]), take(split, order[size // 2 :])


def held_out(dataset: ImageDataset, share: float, seed: int) -> ImageDataset:
    """Returns the dataset with a part of its training images in place of the test split.

    Args:
        dataset: the dataset, whose test split is dropped.
        share: fraction of the training images to hold out, between 0 and 1, in proportion to the
            classes and at least one image per class.
        seed: seed of the choice.

    Raises:
        InputError: a streamed dataset, or a class with too few images to divide.
    """
    train = dataset.train
    if isinstance(train, Records):
        raise InputError(
            "Expected a dataset in memory or in image files to hold a part of it out. "
            f"Received: {dataset.name}, which is streamed"
        )
    labels = np.unique(train.labels)
    held = limited_indices(train.labels, max(round(share * train.size), len(labels)), seed)
    kept = np.setdiff1d(np.arange(train.size), held)
    for label in np.setdiff1d(labels, train.labels[kept]):
        raise InputError(
            f"Expected enough images of every class to hold {share:g} of them out and train on "
            f"some. Received: {np.sum(train.labels == label)} of {dataset.classes[label]!r}"
        )
    return dataclasses.replace(dataset, train=take(train, kept), test=take(train, held))


def limited_indices(labels: np.ndarray, limit: int | None, seed: int) -> np.ndarray:
    """Chooses at most `limit` examples, in proportion to the classes and at least one of each.

    Args:
        labels: integers, `(n,)`.
        limit: number of examples to keep; None keeps all.
        seed: seed of the choice inside each class.

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
    """Divides `limit` in proportion to `counts`, at least 1 each (largest remainder method)."""
    exact = counts * (limit / counts.sum())
    quotas = np.maximum(1, np.floor(exact).astype(int))
    while quotas.sum() > limit:
        quotas[np.argmax(np.where(quotas > 1, quotas - exact, -np.inf))] -= 1
    while quotas.sum() < limit:
        quotas[np.argmax(np.where(quotas < counts, exact - quotas, -np.inf))] += 1
    return quotas


def as_read_by(preprocessing: Preprocessing, split: AnySplit) -> AnySplit:
    """Returns a split with the number of channels that a network reads.

    A limited dataset may be all grayscale, with one channel, although the full one has three.
    """
    if not isinstance(split, Split) or split.images.shape[-1] > 1:
        return split
    return split._replace(images=np.repeat(split.images, preprocessing.channels, -1))
