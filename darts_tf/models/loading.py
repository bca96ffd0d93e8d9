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
from darts_tf.spaces.cell import ALL_PRIMITIVES
from darts_tf.spaces.collapse import WEIGHTLESS

CONFIG, WEIGHTS = "config.json", "model.weights.h5"
"""Files in a `.keras` archive."""

LARGEST = 2**31
"""Largest number that a file may declare for a size of its network."""

BYTES_A_WEIGHT, BYTES_A_CELL = 2, 500
"""Fewest bytes of a weight, and of the names and shapes of a cell's weights, in a file."""

MOST_WEIGHTLESS = 1000
"""Most cells without weights in each stage of a network, which a file does not bound."""

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
    bound = _BOUNDS.get(stored.get("class_name"), _least_bytes) if settings else _least_bytes
    least = bound(settings) if isinstance(settings, dict) else 0
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
    channels, cells, classes, image_channels, units, vocabulary = _sizes(settings)
    # a cell of so many channels has two 1x1 convolutions with at least half as many inputs
    first, second = cells // 3, 2 * cells // 3  # from these on they have twice the channels
    in_cells = channels**2 * (first + 4 * (second - first) + 16 * (cells - second))
    count = in_cells + (classes + image_channels) * channels + units * (units + vocabulary)
    return BYTES_A_CELL * cells + BYTES_A_WEIGHT * count


def _least_bytes_staged(settings: Mapping[str, object]) -> int:
    """Returns the same bound for a network of stages.

    Its residual reductions have 280 weights for each square of the channels. A cell has the fewest
    if its operations are 1x1 convolutions: 21 in all stages; or none without such operations, whose
    number of cells is bounded therefore.
    """
    channels, cells, classes, image_channels, *_ = _sizes(settings)
    operations = parse_json(str(settings.get("genotype"))).get("operations", ())
    weighted = sum(name in ALL_PRIMITIVES and name not in WEIGHTLESS for name in operations)
    if not weighted and cells > MOST_WEIGHTLESS:
        raise InputError(
            f"Expected cells of at most {MOST_WEIGHTLESS} without weights. Received: {cells=}"
        )
    count = channels**2 * (280 + 21 * cells * weighted) + (classes + image_channels) * channels
    return BYTES_A_WEIGHT * count


_BOUNDS = {"StagedNetwork": _least_bytes_staged}
"""Bounds of the size of a model's weights, by its class; of others `_least_bytes`."""


def _sizes(settings: Mapping[str, object]) -> list[int]:
    numbers = {name: n for name, n in settings.items() if type(n) is int and name in _SIZES}
    for name, number in numbers.items():
        if number > LARGEST:
            raise InputError(f"Expected {name} of at most {LARGEST}. Received: {shown(number)}")
    return [numbers.get(name, 0) for name in _SIZES]


_SIZES = ("channels", "cells", "classes", "image_channels", "units", "vocabulary")
"""Constructor arguments of our models that decide on their size."""
