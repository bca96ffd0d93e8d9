"""Test images from outside a run: another folder or dataset, with a network's classes."""

from __future__ import annotations

import logging
import os
import pathlib
from collections.abc import Iterator, Sequence

import numpy as np

from darts_tf.configs.text_datasets import absolute
from darts_tf.data.damage import check_files, refuse
from darts_tf.data.folder import SUFFIXES, TEST_NAMES
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

    A folder has a subfolder of images for every class, at its top or in a subfolder named `test`
    (or another name of test images). Its images are decoded as those of `darts-tf predict`, so that
    they may have any size. Of another dataset the test split is used.

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
    if name in EMBEDDED or not root.is_dir():
        square = preprocessing.height == preprocessing.width
        size = preprocessing.height if square else None
        dataset = load_dataset(name, image_size=size, limit=limit, seed=seed)
        return dataset.name, _test_split(dataset, classes, preprocessing)
    files = _list_folder(root, classes)
    files = take(files, limited_indices(files.labels, limit, seed))
    check_files(files.paths, refuse)
    return absolute(name), files


def _list_folder(root: pathlib.Path, classes: Sequence[str]) -> Files:
    folder = _test_folder(root, classes)
    images, skipped = [], 0
    for path in _visible_files(folder):
        if path.suffix.lower() in SUFFIXES:
            images.append((path.parent.relative_to(folder).as_posix(), str(path)))
        else:
            skipped += 1
    if not images:
        raise InputError(
            "Expected a folder with a subfolder of images for each class, such as "
            f"{listed(classes[:3])}. Received: {folder}, which has no images"
        )
    labels = _labels_in(classes, [name for name, _ in images], str(folder))
    if skipped:
        logging.getLogger("darts_tf").warning(
            "Skipped %d files in %s that are no images", skipped, folder
        )
    return Files([path for _, path in images], labels)


def _test_folder(root: pathlib.Path, classes: Sequence[str]) -> pathlib.Path:
    """Returns the subfolder with test images; the folder itself if it has none."""
    by_name = {path.name.lower(): path for path in root.iterdir() if path.is_dir()}
    named = (by_name[name] for name in TEST_NAMES if name in by_name and name not in classes)
    return next((path for path in named if any(p.is_dir() for p in path.iterdir())), root)


def _visible_files(folder: pathlib.Path) -> Iterator[pathlib.Path]:
    """Yields all files below a folder in order, without those with a hidden name."""
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_dir():
            yield from _visible_files(path)
        else:
            yield path


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
