"""Datasets that users have in memory: arrays, `tf.data.Dataset`s, results of their functions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from darts_tf.data.preprocessing import Preprocessing, channel_statistics, fit
from darts_tf.data.sizes import Size, square
from darts_tf.data.splits import ImageDataset, Split, held_out, limited_indices, take
from darts_tf.errors import InputError, listed, shown

Statistics = tuple[tuple[float, ...], tuple[float, ...]]

ARRAYS = "(arrays)"
"""Name of a dataset that was given as arrays; no folder or data set of TFDS has such a name."""

HELD_OUT = 0.2
"""Fraction of the images that are held out for the test, where no test images are given."""


def own_dataset(name: str, loaded) -> tuple[tuple[str, ...], Split, Split, Statistics | None]:
    """Checks and converts what a user's function has returned.

    Args:
        name: name of the dataset, for errors.
        loaded: `((images, labels), (images, labels))` of training and test, optionally followed by
            the names of the classes. Images are uint8 `(n, height, width)` or `(n, height, width,
            channels)`, values 0 to 255, 1 or 3 channels; labels are integers `(n,)`, from 0.
            `load_data` of `keras.datasets` returns this form. Or an `ImageDataset` in memory, whose
            statistics are kept.

    Returns:
        `(classes, train, test, statistics)`; the statistics are None if they must be computed.

    Raises:
        InputError: `loaded` has another form.
    """
    statistics, classes = None, None
    if isinstance(loaded, ImageDataset):
        statistics = (loaded.preprocessing.mean, loaded.preprocessing.std)
        loaded = (loaded.train, loaded.test, loaded.classes)
    if not isinstance(loaded, list | tuple) or len(loaded) not in (2, 3):
        raise _refused(name, "(images, labels) of training and test, and classes", shown(loaded))
    pairs, more = loaded[:2], loaded[2:]
    if any(not isinstance(pair, list | tuple) or len(pair) != 2 for pair in pairs):
        raise _refused(name, "two pairs (images, labels)", shown(loaded))
    train, test = (_split(name, *pair) for pair in pairs)
    if train.images.shape[1:] != test.images.shape[1:]:
        shapes = f"{train.images.shape[1:]} and {test.images.shape[1:]}"
        raise _refused(name, "training and test images of one size", shapes)
    most = max(int(train.labels.max()), int(test.labels.max()))
    classes = _classes(name, more[0]) if more else tuple(map(str, range(most + 1)))
    if most >= len(classes):
        raise _refused(name, f"labels from 0 to {len(classes) - 1}", f"a label {most}")
    if len(classes) < 2:
        raise _refused(name, "two classes or more", len(classes))
    return classes, train, test, statistics


def _split(name: str, images, labels) -> Split:
    images, labels = np.asarray(images), np.asarray(labels)
    if images.ndim == 3:
        images = images[..., None]
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[-1] not in (1, 3):
        wanted = "images uint8 (n, height, width, channels), values 0 to 255, 1 or 3 channels"
        raise _refused(name, wanted, f"{images.dtype} {images.shape}")
    if labels.shape == (len(images), 1):
        labels = labels[:, 0]
    if labels.dtype.kind not in "iu" or labels.shape != (len(images),) or not len(images):
        wanted = f"labels, integers ({len(images)},), one an image and one image at least"
        raise _refused(name, wanted, f"{labels.dtype} {labels.shape}")
    if labels.min() < 0:
        raise _refused(name, "labels from 0", labels.min())
    return Split(images, labels.astype(np.int32))


def _classes(name: str, classes: Sequence[str]) -> tuple[str, ...]:
    known = () if isinstance(classes, str) else tuple(classes)
    if not known or len(set(map(str, known))) < len(known):
        raise _refused(name, "a list of different names as classes", shown(classes))
    return tuple(map(str, known))


def _refused(name: str, expected: str, received) -> InputError:
    loads = "" if name == ARRAYS else f"the dataset {name} to load "
    return InputError(f"Expected {loads}{expected}. Received: {received}")


def make_dataset(
    train,
    test=None,
    *,
    classes: Sequence[str] | None = None,
    name: str = ARRAYS,
    image_size: int | None = None,
    resize: str = "crop",
    limit: int | None = None,
    seed: int = 0,
) -> ImageDataset:
    """Makes a data set of images in memory, of arrays or of `tf.data.Dataset`s.

    Example:
        ```python
        train, test = keras.datasets.cifar10.load_data()
        dataset = darts_tf.make_dataset(train, test, classes=("airplane", "automobile", ...))
        photos = keras.utils.image_dataset_from_directory("photos", image_size=(64, 64))
        dataset = darts_tf.make_dataset(photos)
        ```

    Args:
        train: `(images, labels)`, or a finite `tf.data.Dataset` of such pairs, batched or not.
            Images are `(n, height, width)` or `(n, height, width, channels)` of one size, pixel
            values 0 to 255 of any type, 1 or 3 channels; labels are integers `(n,)` from 0, or
            one-hot `(n, classes)`.
        test: in the form of `train`; None holds out a fifth of `train`, in proportion to the
            classes, always the same images.
        classes: names of the labels; by default `train.class_names`, or the numbers as texts.
        name: name of the dataset in runs and reports.
        image_size: side in pixels to which all images are resized (antialiased); None keeps them.
        resize: as in `load_dataset`.
        limit: maximum number of images to keep of each split, in proportion to the classes.
        seed: seed of that choice.

    Raises:
        InputError: data of another form.
    """
    classes = classes or getattr(train, "class_names", None)
    pairs = [_pair(name, part) for part in (train, test) if part is not None]
    named = () if classes is None else (tuple(classes),)
    known, *splits, _ = own_dataset(name, (pairs[0], pairs[-1], *named))
    dataset = ImageDataset(name, known, *splits, preprocessing=None)  # until its size is known
    if test is None:
        dataset = held_out(dataset, HELD_OUT, seed=0)
    height, width, channels = dataset.train.images.shape[1:]
    size = Size(height, width) if image_size is None else square(image_size, resize)
    splits = [fitted(split, size, limit, seed) for split in (dataset.train, dataset.test)]
    statistics = channel_statistics(splits[0].images)
    preprocessing = Preprocessing(
        size.height, size.width, channels, *statistics, shorter_side=size.shorter_side
    )
    return ImageDataset(name, known, *splits, preprocessing)


def fitted(split: Split, size: Size, limit: int | None, seed: int) -> Split:
    """Returns a split of at most `limit` images, all of one size; see `limited_indices`."""
    split = take(split, limited_indices(split.labels, limit, seed))
    if split.images.shape[1:3] == (size.height, size.width):
        return split
    return split._replace(images=np.stack([fit(tf.constant(i), *size) for i in split.images]))


def _pair(name: str, part) -> tuple[np.ndarray, np.ndarray]:
    """Returns images as uint8 and labels as integers, where that is what they mean."""
    if isinstance(part, tf.data.Dataset):
        part = _collected(name, part)
    if not isinstance(part, list | tuple) or len(part) != 2:
        raise _refused(name, "a pair (images, labels), or a tf.data.Dataset of them", shown(part))
    images, labels = (np.asarray(array) for array in part)
    return _pixels(name, images), _indices(labels)


def _collected(name: str, batches: tf.data.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Returns all images and labels of a dataset of pairs."""
    spec = batches.element_spec
    if not isinstance(spec, tuple) or len(spec) != 2 or not isinstance(spec[0], tf.TensorSpec):
        raise _refused(name, "a tf.data.Dataset of pairs (image, label)", shown(spec))
    if batches.cardinality() == tf.data.INFINITE_CARDINALITY:
        raise _refused(name, "a tf.data.Dataset that ends", "one that repeats without end")
    pairs = list((batches.unbatch() if spec[0].shape.rank == 4 else batches).as_numpy_iterator())
    if not pairs:
        raise _refused(name, "a tf.data.Dataset with images in it", "an empty one")
    images, labels = zip(*pairs, strict=True)
    if len(sizes := {image.shape for image in images}) > 1:
        raise _refused(name, "images of one size", listed(sorted(sizes)[:3]))
    return np.stack(images), np.stack(labels)


def _pixels(name: str, images: np.ndarray) -> np.ndarray:
    """Returns numbers from 0 to 255 as uint8, rounded; other arrays unchanged."""
    if images.dtype == np.uint8 or images.dtype.kind not in "iuf" or not images.size:
        return images
    least, most = images.min(), images.max()
    if not (least >= 0 and 1 < most <= 255):  # also if a number is not finite
        hint = ", which are to be multiplied by 255" if least >= 0 and most <= 1 else ""
        received = f"values {least:g} to {most:g}{hint}"
        raise _refused(name, "images with pixel values 0 to 255", received)
    return np.round(images).astype(np.uint8)


def _indices(labels: np.ndarray) -> np.ndarray:
    """Returns the positions of the ones of one-hot labels; other labels unchanged."""
    if labels.ndim != 2 or labels.shape[1] < 2 or labels.dtype.kind not in "iuf":
        return labels
    ones = (labels == 1).sum(1) == 1
    zeros = (labels == 0).sum(1) == labels.shape[1] - 1
    return labels.argmax(1) if (ones & zeros).all() else labels
