"""Image folders `train/<class>/*`, `test/<class>/*` (the layout of `tfds.ImageFolder`).

ImageNet's folders have `val` instead of `test`, and often a `test` of images without classes.
"""

from __future__ import annotations

import pathlib
from collections.abc import Iterable

import numpy as np
import tensorflow as tf

from darts_tf.data.damage import Damage, check_files, read_bytes, refuse
from darts_tf.data.decoding import CHUNK, Encoded, decode_splits
from darts_tf.data.splits import Files, Split, limited_indices, take
from darts_tf.errors import InputError

SUFFIXES = (".jpeg", ".jpg", ".png")
TEST_NAMES = ("test", "val", "validation")
"""Allowed names of the folder of test images; the first one that has classes is used."""


def load_folder(
    folder: str, *, image_size: int | None, limit: int | None, seed: int, max_bad_images: int
) -> tuple[tuple[str, ...], Split, Split]:
    """Decodes an image folder; with a limit only the chosen files are opened.

    Args:
        folder: path of a folder with `train/<class>/` and `test/<class>/` (or `val`, `validation`)
            of JPEG or PNG files.
        image_size: side in pixels to resize to; None expects images of one size.
        limit: maximum number of images to keep per split; None keeps all.
        seed: seed of that choice.
        max_bad_images: maximum number of damaged files among the chosen training files; they are
            left out.

    Returns:
        `(classes, train, test)`.

    Raises:
        InputError: raised by `list_folder` and `decode_splits`.
    """
    classes, *listed = list_folder(folder)
    train, test = (_encoded(_limit(files, limit, seed)) for files in listed)
    options = {"image_size": image_size, "max_bad_images": max_bad_images}
    return classes, *decode_splits(train, test, classes, **options)


def stream_folder(
    folder: str, *, limit: int | None, seed: int, max_bad_images: int
) -> tuple[tuple[str, ...], Files, Files]:
    """Lists an image folder that is decoded later, without the damaged training images.

    Reads only the first and last bytes of every chosen file (`check_files`), which detects
    truncated files, missing files and other formats. Other damage is detected at decoding.

    Args:
        folder: as in `load_folder`.
        limit: as in `load_folder`.
        seed: as in `load_folder`.
        max_bad_images: as in `load_folder`.

    Returns:
        `(classes, train, test)`.

    Raises:
        InputError: raised by `list_folder`; more than `max_bad_images` damaged training images, or
            all of a class; any damaged test image.
    """
    classes, *listed = list_folder(folder)
    train, test = (_limit(files, limit, seed) for files in listed)
    damage = Damage(train.labels, classes, max_bad_images)
    check_files(train.paths, damage.leave_out)
    check_files(test.paths, refuse)
    return classes, take(train, np.flatnonzero(damage.kept)), test


def list_folder(folder: str) -> tuple[tuple[str, ...], Files, Files]:
    """Lists an image folder without opening a file.

    `tfds.ImageFolder` silently ignores other files and empty folders, and merges the classes of
    all splits. Here each of these is an error.

    Returns:
        `(classes, train, test)`; the classes are the sorted names of train's folders.

    Raises:
        InputError: no folder, no `train` or `test` in it, fewer than two classes, a test class that
            is missing in train, a class without images, or files other than JPEG and PNG.
    """
    root = pathlib.Path(folder).expanduser()
    if not root.is_dir():
        raise InputError(f"Expected an image folder with train and test in it. Received: {folder}")
    classes = _classes(root, "train")
    if len(classes) < 2:
        raise InputError(
            "Expected at least two classes, each a folder train/<class> of images. "
            f"Received: {root / 'train'} with {classes or 'none'}"
        )
    test = _test_name(root)
    unknown = sorted(set(_classes(root, test)) - set(classes))
    if unknown:
        raise InputError(
            f"Expected only classes of train in {test} ({_shortened(classes)}). "
            f"Received: {root / test / unknown[0]}"
        )
    return tuple(classes), _files(root / "train", classes), _files(root / test, classes)


def _test_name(root: pathlib.Path) -> str:
    folders = [name for name in TEST_NAMES if (root / name).is_dir()]
    return next((name for name in folders if _classes(root, name)), (folders or TEST_NAMES)[0])


def _classes(root: pathlib.Path, split: str) -> list[str]:
    if not (root / split).is_dir():
        others = f" (or {' or '.join(TEST_NAMES[1:])})" if split in TEST_NAMES else ""
        raise InputError(
            f"Expected a folder {split}{others} with a folder a class. Received: {root}"
        )
    return sorted(path.name for path in _visible(root / split) if path.is_dir())


def _files(folder: pathlib.Path, classes: list[str]) -> Files:
    paths, labels = [], []
    for label, name in enumerate(classes):
        # test may lack a class; an empty folder of a class is an error
        if (folder / name).is_dir():
            images = _images(folder / name)
            paths.extend(images)
            labels.extend([label] * len(images))
    if not paths:
        raise InputError(f"Expected a folder a class with images in it. Received: {folder}")
    return Files(paths, np.array(labels, np.int32))


def _images(folder: pathlib.Path) -> list[str]:
    paths = sorted(_visible(folder))
    for path in paths:
        if path.suffix.lower() not in SUFFIXES:
            raise InputError(f"Expected only JPEG and PNG files in a class. Received: {path}")
    if not paths:
        raise InputError(f"Expected images in every class. Received: {folder} without any")
    return [str(path) for path in paths]


def _visible(folder: pathlib.Path) -> Iterable[pathlib.Path]:
    return (path for path in folder.iterdir() if not path.name.startswith("."))


def _limit(files: Files, limit: int | None, seed: int) -> Files:
    return take(files, limited_indices(files.labels, limit, seed))


def _encoded(files: Files) -> Encoded:
    def read(paths: tf.Tensor) -> tf.Tensor:
        return tf.map_fn(tf.io.read_file, paths)

    def items(first: int, count: int):
        for path in files.paths[first : first + count]:
            name, contents = read_bytes(path)
            yield name, tf.constant(contents)

    batches = tf.data.Dataset.from_tensor_slices(files.paths).batch(CHUNK)
    return Encoded(batches.map(read, tf.data.AUTOTUNE, deterministic=True), files.labels, items)


def _shortened(names: list[str]) -> str:
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
