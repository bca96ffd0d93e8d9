"""Test images from outside a run: another folder or dataset, with a network's classes."""

from __future__ import annotations

import logging
import os
import pathlib
from collections.abc import Sequence

import numpy as np

from darts_tf.configs.text_datasets import absolute
from darts_tf.data.damage import check_files, refuse
from darts_tf.data.layouts import find_test_images, is_table
from darts_tf.data.preprocessing import Preprocessing, to_gray
from darts_tf.data.sources import EMBEDDED, load_dataset
from darts_tf.data.splits import Files, ImageDataset, Split, limited_indices, take
from darts_tf.errors import InputError, listed, shown


def load_external_test(
    source: str | ImageDataset,
    classes: Sequence[str],
    preprocessing: Preprocessing,
    *,
    limit: int | None = None,
    seed: int = 0,
) -> tuple[str, Split | Files]:
    """Loads images to test a trained network on, which its run has not seen.

    A folder or table may have any of the layouts of training data, see `layouts.find_test_images`.
    Its images are decoded as those of `darts-tf predict`, so that they may have any size. Of
    another dataset the test split is used.

    Args:
        source: a folder, the name of a dataset, or a dataset.
        classes: names of the network's outputs. The images may have fewer classes, but no other.
        preprocessing: preprocessing of the network.
        limit: maximum number of images, in proportion to the classes; None for all. It does not
            apply to a dataset that is loaded already.
        seed: seed of that choice.

    Returns:
        The name of the dataset, which for a folder is its absolute path; and the images, with
        labels that are indices of `classes`.

    Raises:
        InputError: no such folder or dataset, a class that the network does not know, a damaged
            image, or images in memory of another size than the network reads.
    """
    if isinstance(source, ImageDataset):
        return source.name, _test_split(source, classes, preprocessing)
    name = os.fspath(source)
    root = pathlib.Path(name).expanduser()
    if name in EMBEDDED or not (root.is_dir() or is_table(name)):
        square = preprocessing.height == preprocessing.width
        options = {
            "image_size": preprocessing.height if square else None,
            "resize": "squeeze" if preprocessing.shorter_side is None else "crop",
        }
        dataset = load_dataset(name, **options, limit=limit, seed=seed)
        return dataset.name, _test_split(dataset, classes, preprocessing)
    found, listing, notes = find_test_images(name)
    for note in notes:
        logging.getLogger("darts_tf").warning("%s", note)
    labels = _labels_in(classes, found, name)[np.array(listing.labels)]
    files = Files(listing.paths, labels)
    files = take(files, limited_indices(files.labels, limit, seed))
    check_files(files.paths, refuse)
    return absolute(name), files


def _test_split(
    dataset: ImageDataset, classes: Sequence[str], preprocessing: Preprocessing
) -> Split | Files:
    """Returns the test split of a dataset, as a network of these classes reads it."""
    split, size = dataset.test, (preprocessing.height, preprocessing.width)
    if not isinstance(split, Split | Files):
        raise InputError(
            "Expected images in memory or in files, whose labels are known. "
            f"Received: {dataset.name}, which is streamed"
        )
    labels = _labels_in(classes, dataset.classes, dataset.name)[split.labels]
    if isinstance(split, Files):
        return Files(split.paths, labels)
    images = split.images
    if images.shape[1:3] != size:
        raise InputError(
            f"Expected images of {size[0]}x{size[1]} pixels, as the network reads. "
            f"Received: {dataset.name} with {images.shape[1]}x{images.shape[2]}"
        )
    if preprocessing.channels == 1 and images.shape[-1] == 3:
        images = to_gray(images).numpy()
    return Split(images, labels)


def _labels_in(classes: Sequence[str], names: Sequence[str], where: str) -> np.ndarray:
    """Returns the indices of names of classes, int32.

    Raises:
        InputError: a name is not among the classes.
    """
    index = {name: i for i, name in enumerate(classes)}
    for name in names:
        if name not in index:
            raise InputError(
                f"Expected only the run's classes ({listed(classes)}). "
                f"Received: {where} with {shown(name)}"
            )
    return np.array([index[name] for name in names], np.int32)
