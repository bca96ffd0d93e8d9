"""Files of named arrays that other frameworks write, read without running what is in them."""

from __future__ import annotations

import collections
import contextlib
import importlib
import logging
import os
import pathlib
import pickle
import warnings
from collections.abc import Mapping

import numpy as np

from darts_tf.errors import SHOWN, InputError, first_line, listed, shortened, shown
from darts_tf.runtime.archives import check_archive

LOG = logging.getLogger("darts_tf")

WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "network")
"""Keys of the weights in a checkpoint that also holds an epoch, an optimizer and so on."""
PREFIXES = ("module.", "_orig_mod.", "model.")
"""Stand before names where PyTorch's `DataParallel`, `torch.compile` or Lightning saved."""
COUNTERS = ("total_ops", "total_params", "drop_path_prob")
"""Last parts of names that are no weights: counts of multiply-adds (thop), a setting."""
NUMBERS = "fiu"
"""Kinds of NumPy's types whose arrays can be weights or counters."""


def read_state_dict(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """The arrays of a state dict by name.

    Args:
        path: a file whose name ends as in `READERS`: of PyTorch, NumPy or safetensors.

    Returns:
        NumPy arrays, without the wrappers that PyTorch's users put around them: a key of
        `WRAPPERS`, and `PREFIXES` before names. `COUNTERS` are left out, with a line in the log.

    Raises:
        InputError: no such file, another format, a damaged file, one that holds something else
            than named arrays of finite numbers, or the package that reads it is not installed.
    """
    path = pathlib.Path(path)
    reader = next((read for end, read in READERS.items() if path.name.endswith(end)), None)
    if reader is None:
        raise InputError(f"Expected a file {', '.join(READERS)}. Received: {str(path)!r}")
    if not path.is_file():
        what = "is no file" if path.exists() else "is not there"
        raise InputError(f"Expected a file of weights. Received: {str(path)!r}, which {what}")
    try:
        return {name: _checked(name, array) for name, array in weights_in(reader(path)).items()}
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    except Exception as error:  # a damaged file fails in a dozen ways, of pickle, zipfile and NumPy
        reason = shortened(first_line(error), SHOWN)
        raise InputError(
            f"Expected a state dict: arrays by name, nothing else. Received: {str(path)!r} "
            f"({type(error).__name__}: {reason})"
        ) from error


def _torch(path):
    torch = _module("torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of other pickles, which it then refuses
        try:  # the loader of weights knows tensors and containers, and calls nothing else
            with _scalars_allowed(torch):
                return torch.load(path, map_location="cpu", weights_only=True)
        except pickle.UnpicklingError as error:
            raise InputError(
                "Expected a state dict: arrays by name, nothing else, such as "
                "torch.save(model.state_dict(), FILE) writes. Received: other objects, perhaps a "
                "whole model, or a damaged file; no code in it is run"
            ) from error


def _scalars_allowed(torch) -> contextlib.AbstractContextManager:
    """Context manager: lets PyTorch load NumPy's numbers, such as the best accuracy so far."""
    allow = getattr(getattr(torch, "serialization", None), "safe_globals", None)
    if allow is None:  # before PyTorch 2.5
        return contextlib.nullcontext()
    types = {type(np.dtype(kind)) for kind in np.typecodes["AllFloat"] + np.typecodes["AllInteger"]}
    modules = ("numpy.core.multiarray", "numpy._core.multiarray")  # of NumPy 1 and 2
    return allow([*map(_scalar_of, modules), np.dtype, *types])


def _scalar_of(module: str):
    """Returns the function that restores a pickled number of NumPy, by its name in a module."""
    restore = np.float64(0).__reduce__()[0]

    def scalar(*arguments):
        return restore(*arguments)

    scalar.__module__, scalar.__qualname__ = module, "scalar"
    return scalar


def _numpy(path):
    check_archive(path)
    with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        return dict(arrays)


_BFLOAT16 = "BF16"
_SAFETENSORS = {
    **{"F64": "<f8", "F32": "<f4", "F16": "<f2", _BFLOAT16: "<u2"},
    **{"I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1"},
    **{"U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "u1"},
}
"""NumPy's types by those of safetensors; bfloat16, which NumPy lacks, is read as its bits."""


def _safetensors(path):
    stored = _module("safetensors").deserialize(path.read_bytes())
    return {name: _tensor(name, **about) for name, about in stored}


def _tensor(name: str, dtype: str, shape, data) -> np.ndarray:
    if dtype not in _SAFETENSORS:
        raise InputError(f"Expected arrays of {listed(_SAFETENSORS)}. Received: {name}, {dtype}")
    array = np.frombuffer(data, _SAFETENSORS[dtype]).reshape(shape)
    if dtype == _BFLOAT16:  # the upper half of a float32
        array = np.asarray(array.astype("<u4") << 16).view("<f4")
    return array


def _module(name: str):
    """A module of an optional dependency, whose extra in setup.py has the package's name."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        package = name.partition(".")[0]
        raise InputError(
            f"Expected the package {package}, which reads such files: pip install "
            f"'darts-tf[{package}]'. Received: {first_line(error)}"
        ) from error


READERS = {
    **{".pt": _torch, ".pth": _torch, ".pth.tar": _torch},
    **{".npz": _numpy, ".safetensors": _safetensors},
}
"""Readers of files, by the suffix of the file name."""


def weights_in(stored) -> dict[str, object]:
    """Returns the arrays of a state dict or checkpoint by their names in the model.

    Args:
        stored: what a file of PyTorch holds: arrays by name, perhaps under one of `WRAPPERS` beside
            other things, and perhaps with `PREFIXES` before their names. `COUNTERS` are left out,
            with a line in the log.

    Raises:
        InputError: something else, or names that are equal without their prefixes.
    """
    arrays = _unwrapped(stored)
    ends = {name: name.rpartition(".")[2] for name in arrays}
    counts = collections.Counter(end for end in ends.values() if end in COUNTERS)
    if counts:
        names = listed(f"{count} {end}" for end, count in counts.items())
        LOG.warning("ignored entries that are no weights: %s", names)
    return {name: value for name, value in arrays.items() if ends[name] not in COUNTERS}


def _unwrapped(stored) -> dict:
    """Returns the arrays by name, without what is around them and before their names."""
    if isinstance(stored, Mapping):
        wrapped = (stored[key] for key in WRAPPERS if isinstance(stored.get(key), Mapping))
        inner = next(wrapped, None)
        if inner is None and any(isinstance(value, Mapping) for value in stored.values()):
            raise InputError(
                f"Expected arrays by name, or a dict of them under one of the keys "
                f"{', '.join(WRAPPERS)}. Received: the keys {listed(stored)}"
            )
        stored = stored if inner is None else inner
    if not isinstance(stored, Mapping) or not stored:
        raise InputError(f"Expected arrays by name. Received: {shown(stored)}")
    if not all(isinstance(name, str) for name in stored):
        raise InputError(f"Expected names that are texts. Received: {listed(stored)}")
    plain = {_plain_name(name): value for name, value in stored.items()}
    if len(plain) < len(stored):
        counts = collections.Counter(map(_plain_name, stored))
        twice = [name for name, count in counts.items() if count > 1]
        raise InputError(
            f"Expected every name once, without {', '.join(PREFIXES)} before it. "
            f"Received: {listed(twice)} more than once"
        )
    return plain


def _plain_name(name: str) -> str:
    """Returns a name without the prefixes before it, however many there are."""
    while True:
        shorter = name
        for prefix in PREFIXES:
            shorter = shorter.removeprefix(prefix)
        if shorter == name:
            return name
        name = shorter


def _checked(name: str, value) -> np.ndarray:
    if hasattr(value, "detach"):  # PyTorch's: NumPy has no bfloat16
        value = value.detach().double().numpy()
    if not isinstance(value, np.ndarray) or value.dtype.kind not in NUMBERS:
        what = getattr(value, "dtype", type(value).__name__)
        raise InputError(f"Expected an array of numbers by each name. Received: {name}, {what}")
    if not np.isfinite(value).all():
        raise InputError(f"Expected finite numbers. Received: others in {name}")
    return value
