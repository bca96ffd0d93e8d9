"""The architecture parameters of every epoch of a search, in one file of its folder."""

from __future__ import annotations

import os
import pathlib

import numpy as np

from darts_tf import runs
from darts_tf.errors import InputError
from darts_tf.names import SHOWN, first_line, shortened


def extend(folder: str | os.PathLike[str], epoch: int, *alphas) -> None:
    """Adds an epoch's architecture parameters to those of the epochs before it.

    What was kept of this epoch and of later ones is of a time that the run has gone back from.
    """
    path = pathlib.Path(folder) / runs.HISTORY
    before = _read(path) if path.exists() else {"epochs": np.zeros(0, np.int64)}
    kept = before["epochs"] < epoch
    arrays = {"epochs": np.append(before["epochs"][kept], epoch)}
    for name, array in runs.named_alphas(alphas).items():
        earlier = [before[name][kept]] if name in before else []
        arrays[name] = np.concatenate([*earlier, array[None]])
    runs.save_arrays(path, arrays)


def load(folder: str | os.PathLike[str]) -> dict[int, tuple[np.ndarray, ...]]:
    """Architecture parameters by the epoch after which they were such, as `load_alphas` gives them.

    Raises:
        InputError: No such file, or it holds something else.
    """
    arrays = _read(pathlib.Path(folder) / runs.HISTORY)
    epochs = arrays.pop("epochs")
    return {int(epoch): parts for epoch, *parts in zip(epochs, *arrays.values(), strict=True)}


def _read(path: pathlib.Path) -> dict[str, np.ndarray]:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            found = {name: arrays[name] for name in arrays.files}
        names = (
            runs.RECURRENT_ALPHAS if set(runs.RECURRENT_ALPHAS) <= set(found) else runs.ALPHAS_NAMES
        )
        ordered = {name: found[name] for name in names if name in found}
        if len({len(array) for array in (found["epochs"], *ordered.values())}) != 1 or not ordered:
            raise ValueError("arrays of other lengths")
        return {"epochs": found["epochs"].astype(np.int64), **ordered}
    except Exception as error:  # as in `load_alphas`
        reason = shortened(first_line(error), SHOWN)
        raise InputError(
            f"Expected a file with the alphas of every epoch. Received: {str(path)!r} ({reason})"
        ) from error
