"""Files of named arrays that other frameworks write, read without running what is in them."""

from __future__ import annotations

import importlib
import os
import pathlib
import pickle
import warnings
from collections.abc import Mapping

import numpy as np

from darts_tf.errors import SHOWN, InputError, first_line, listed, shortened, shown

WRAPPER = "state_dict"
"""Key of the weights in a checkpoint that also holds an epoch, an optimizer and so on."""
DATA_PARALLEL = "module."
"""Stands before every name where PyTorch's `DataParallel` saved."""
NUMBERS = "fiu"
"""Kinds of NumPy's types whose arrays can be weights or counters."""


def read_state_dict(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """The arrays of a state dict by name.

    Args:
        path: a file whose name ends as in `READERS`: of PyTorch, NumPy or safetensors.

    Returns:
        NumPy arrays, without the wrappers that PyTorch's users put around them: the key
        `state_dict`, and `module.` before every name.

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
        arrays = _unwrapped(reader(path))
        return {name: _checked(name, array) for name, array in arrays.items()}
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
        try:  # the loader of weights alone knows tensors and containers, and calls nothing else
            return torch.load(path, map_location="cpu", weights_only=True)
        except pickle.UnpicklingError as error:
            raise InputError(
                "Expected a state dict: arrays by name, nothing else, such as "
                "torch.save(model.state_dict(), FILE) writes. Received: other objects, perhaps a "
                "whole model, or a damaged file; no code in it is run"
            ) from error


def _numpy(path):
    with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        return dict(arrays)


def _safetensors(path):
    return _module("safetensors.numpy").load_file(path)


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


def _unwrapped(stored) -> Mapping:
    if isinstance(stored, Mapping) and isinstance(stored.get(WRAPPER), Mapping):
        stored = stored[WRAPPER]
    if not isinstance(stored, Mapping) or not stored:
        raise InputError(f"Expected arrays by name. Received: {shown(stored)}")
    if not all(isinstance(name, str) for name in stored):
        raise InputError(f"Expected names that are texts. Received: {listed(stored)}")
    prefixed = all(name.startswith(DATA_PARALLEL) for name in stored)
    return {name.removeprefix(DATA_PARALLEL) if prefixed else name: stored[name] for name in stored}


def _checked(name: str, value) -> np.ndarray:
    if hasattr(value, "detach"):  # PyTorch's: NumPy has no bfloat16
        value = value.detach().double().numpy()
    if not isinstance(value, np.ndarray) or value.dtype.kind not in NUMBERS:
        what = getattr(value, "dtype", type(value).__name__)
        raise InputError(f"Expected an array of numbers by each name. Received: {name}, {what}")
    if not np.isfinite(value).all():
        raise InputError(f"Expected finite numbers. Received: others in {name}")
    return value
