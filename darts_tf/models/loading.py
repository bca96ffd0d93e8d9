"""Loading of trained models."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Mapping
from typing import TypeVar

import h5py
import keras

from darts_tf.errors import InputError, first_line, shown
from darts_tf.runtime.archives import check_archive, check_ratio
from darts_tf.runtime.strict_json import parse_json

CONFIG, WEIGHTS = "config.json", "model.weights.h5"
"""Files in a `.keras` archive."""

LARGEST = 2**31
"""Largest number that a file may declare for a size of its network."""

BYTES_A_WEIGHT, BYTES_A_CELL = 2, 500
"""Fewest bytes of a weight, and of the names and shapes of a cell's weights, in a file."""

Kind = TypeVar("Kind", bound=keras.Model)


def load_model(path: str | os.PathLike[str], kind: type[Kind]) -> Kind:
    """A trained model from a `.keras` file, without its optimizer.

    Args:
        path: of the file.
        kind: the class that it should be of.

    Raises:
        InputError: the file is missing or broken, holds another model, or declares a network that
            is too large for it.
    """
    path = os.fspath(path)
    try:
        _check_sizes(path)
        model = keras.saving.load_model(path, compile=False)
    except (KeyError, OSError, OverflowError, TypeError, ValueError, zipfile.BadZipFile) as error:
        raise InputError(f"Expected a model. Received: {path!r} ({first_line(error)})") from error
    if not isinstance(model, kind):
        received = f"{type(model).__name__} in {path!r}"
        raise InputError(f"Expected a {kind.__name__}. Received: {received}")
    return model


def _check_sizes(path: str) -> None:
    """Checks the declared sizes before Keras builds the network, which could exhaust the memory.

    Raises:
        InputError: a size that the file cannot hold.
        KeyError, ValueError, OSError, zipfile.BadZipFile: another file.
    """
    check_archive(path)
    with zipfile.ZipFile(path) as archive:
        stored = parse_json(archive.read(CONFIG))
        weights = archive.read(WEIGHTS)
    settings = stored.get("config") if isinstance(stored, dict) else None
    least = _least_bytes(settings) if isinstance(settings, dict) else 0
    if least > len(weights):
        raise InputError(
            f"Expected {WEIGHTS} of at least {least:,} bytes for the network that {CONFIG} "
            f"declares. Received: {len(weights):,} bytes"
        )
    sizes = []
    with h5py.File(io.BytesIO(weights)) as arrays:  # a small one may expand to a large array
        arrays.visititems(lambda name, item: sizes.append(getattr(item, "nbytes", 0)))
    check_ratio(sum(sizes), len(weights))


def _least_bytes(settings: Mapping[str, object]) -> int:
    """Returns a lower bound of the size of a model's weights, from its constructor's arguments."""
    numbers = {name: n for name, n in settings.items() if type(n) is int and name in _SIZES}
    for name, number in numbers.items():
        if number > LARGEST:
            raise InputError(f"Expected {name} of at most {LARGEST}. Received: {shown(number)}")
    sizes = (numbers.get(name, 0) for name in _SIZES)
    channels, cells, classes, image_channels, units, vocabulary = sizes
    # a cell of so many channels has two 1x1 convolutions with at least half as many inputs
    first, second = cells // 3, 2 * cells // 3  # from these on they have twice the channels
    in_cells = channels**2 * (first + 4 * (second - first) + 16 * (cells - second))
    count = in_cells + (classes + image_channels) * channels + units * (units + vocabulary)
    return BYTES_A_CELL * cells + BYTES_A_WEIGHT * count


_SIZES = ("channels", "cells", "classes", "image_channels", "units", "vocabulary")
"""Constructor arguments of our models that decide on their size."""
