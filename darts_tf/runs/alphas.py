"""Files of a search's alphas, last and per epoch, and of the primitives of their columns."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np

from darts_tf.errors import SHOWN, InputError, first_line, shortened, shown, unknown_name
from darts_tf.runs import files
from darts_tf.runs.files import ALPHAS
from darts_tf.runtime import atomic
from darts_tf.runtime.archives import check_archive
from darts_tf.spaces.cell import nodes_of
from darts_tf.spaces.derivation import STRENGTHS
from darts_tf.spaces.genotype import AnyGenotype, EdgeGenotype, Genotype, RecurrentGenotype
from darts_tf.spaces.search_spaces import DARTS, SPACES, Space, space_of
from darts_tf.spaces.zoo import load_genotype


def extend_history(
    folder: str | os.PathLike[str], epoch: int, *alphas, kinds: Sequence[str] | None = None
) -> None:
    """Appends an epoch's architecture parameters to the history in the run's folder.

    Stored entries of this epoch and of later ones are dropped: they belong to epochs that were
    rolled back.

    Args:
        folder: folder of the run.
        epoch: number of the epoch, from 0.
        *alphas: arrays of a supernet's `alphas`.
        kinds: see `named_alphas`.
    """
    path = pathlib.Path(folder) / files.HISTORY
    before = _read(path) if path.exists() else {"epochs": np.zeros(0, np.int64)}
    kept = before["epochs"] < epoch
    arrays = {"epochs": np.append(before["epochs"][kept], epoch)}
    for name, array in named_alphas(alphas, kinds).items():
        earlier = [before[name][kept]] if name in before else []
        arrays[name] = np.concatenate([*earlier, array[None]])
    save_arrays(path, arrays)


def load_history(folder: str | os.PathLike[str]) -> dict[int, tuple[np.ndarray, ...]]:
    """Returns the architecture parameters after each epoch, by epoch, as `load_alphas` does.

    Raises:
        InputError: the file does not exist, or has another content.
    """
    arrays = _read(pathlib.Path(folder) / files.HISTORY)
    epochs = arrays.pop("epochs")
    return {int(epoch): parts for epoch, *parts in zip(epochs, *arrays.values(), strict=True)}


def _read(path: pathlib.Path) -> dict[str, np.ndarray]:
    try:
        check_archive(path)
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            stored = {name: arrays[name] for name in arrays.files}
        names = names_of(_kinds_in(stored))
        ordered = {name: stored[name] for name in names if name in stored}
        if len({len(array) for array in (stored["epochs"], *ordered.values())}) != 1 or not ordered:
            raise ValueError("arrays of different lengths")
        return {"epochs": stored["epochs"].astype(np.int64), **ordered}
    except Exception as error:  # as in `load_alphas`
        reason = shortened(first_line(error), SHOWN)
        raise InputError(
            f"Expected a file with the alphas of every epoch. Received: {str(path)!r} ({reason})"
        ) from error


def save_space(folder: str | os.PathLike[str], space: Space) -> None:
    """Writes the candidate primitives per edge, unless the space is the paper's.

    If the cells are not DARTS', the topology is written, too.
    """
    if space != SPACES[DARTS]:
        stored = space.candidates if space.genotype_class is Genotype else space.to_dict()
        files.write_json(pathlib.Path(folder) / files.EDGE_PRIMITIVES, stored)


def load_space(folder: str | os.PathLike[str]) -> Space:
    """Returns the search space of a search on images: the stored one, or else the paper's.

    Raises:
        InputError: the file has another content, or primitives that are not registered.
    """
    path = pathlib.Path(folder) / files.EDGE_PRIMITIVES
    if not path.exists():
        return SPACES[DARTS]
    stored = files.read_json(path)
    try:
        if isinstance(stored, dict):
            return Space.from_dict(stored)
        return space_of(nodes_of(len(stored[0])), edge_primitives=stored)
    except (TypeError, LookupError) as error:
        expected = "Expected lists of primitives by cell and edge"
        raise InputError(f"{path}: {expected}. Received: {shown(stored)}") from error
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def supernet_settings(folder: str | os.PathLike[str]) -> dict[str, object]:
    """Returns the keyword arguments of `figures.plot_supernet` that describe a stored search.

    Raises:
        InputError: the folder has no search, or a search in stages, each of which has a folder of
            its own.
    """
    path = pathlib.Path(folder)
    stages = path / files.STAGES
    if stages.is_dir():
        last = max(stages.iterdir(), key=lambda stage: (len(stage.name), stage.name))
        raise InputError(
            f"Expected one stage of this search, such as {last}. Received: all of them"
        )
    if not files.is_run(path):
        raise InputError(f"Expected the folder of a search. Received: {shown(str(folder))}")
    if files.is_text_run(path):
        return {}
    relaxation = files.read_json(path / files.CONFIG).get("relaxation", "softmax")
    if relaxation not in STRENGTHS:
        raise unknown_name(f"the relaxation in {path / files.CONFIG}", relaxation, STRENGTHS)
    settings = {"relaxation": relaxation}
    if (path / files.EDGE_PRIMITIVES).exists():
        space = load_space(path)
        alike = space.genotype_class is Genotype
        settings |= {"edge_primitives": space.candidates} if alike else {"space": space}
    return settings


def chosen_genotype(folder: str | os.PathLike[str]) -> AnyGenotype | None:
    """Returns the genotype that the search has derived, or None if it has not got that far.

    Raises:
        InputError: the file does not contain a valid genotype.
    """
    path = pathlib.Path(folder) / files.GENOTYPE
    return load_genotype(path, recurrent=None) if path.is_file() else None


_KINDS = (Genotype.kinds, RecurrentGenotype.kinds, EdgeGenotype.kinds)
"""Kinds of cells whose alphas a file may have."""


def names_of(kinds: Sequence[str]) -> tuple[str, ...]:
    """Returns the names of arrays in files of alphas, in the order of a supernet's `alphas`.

    Args:
        kinds: kinds of the cells, see `Space.kinds`.
    """
    return (*kinds, *(f"edges_{kind}" for kind in kinds))


def _kinds_in(arrays) -> tuple[str, ...]:
    """Returns the kinds of cells whose arrays a file has; the first if it has none."""
    return next((kinds for kinds in _KINDS if set(kinds) <= set(arrays)), _KINDS[0])


def save_alphas(
    folder: str | os.PathLike[str], *alphas, kinds: Sequence[str] | None = None
) -> None:
    """Writes the arrays of a supernet's `alphas` to the run's folder, replacing the file.

    Args:
        folder: folder of the run.
        *alphas: the arrays.
        kinds: see `named_alphas`.
    """
    save_arrays(pathlib.Path(folder) / ALPHAS, named_alphas(alphas, kinds))


def named_alphas(alphas, kinds: Sequence[str] | None = None) -> dict[str, np.ndarray]:
    """Returns the arrays of a supernet's `alphas` by their names in files.

    Args:
        alphas: the arrays.
        kinds: kinds of the cells, see `Space.kinds`; by default those of DARTS, or a recurrent
            cell's for a single array.
    """
    if kinds is None:
        kinds = RecurrentGenotype.kinds if len(alphas) == 1 else Genotype.kinds
    return dict(zip(names_of(kinds), map(np.asarray, alphas), strict=False))


def save_arrays(path: pathlib.Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes named arrays to an `.npz` file, replacing it atomically."""
    with atomic.replacing(path) as written:
        np.savez(written, **arrays)


def load_alphas(folder: str | os.PathLike[str]) -> tuple[np.ndarray, ...]:
    """Returns the run's architecture parameters, as arguments of `derive` or `derive_recurrent`.

    Returns:
        The arrays of the normal and the reduction cell, each of shape (edges, primitives); after a
        search with partial channels also the edge weights of both, each of shape (edges,). After a
        search on text, or for a single kind of cell, one array of shape (edges, primitives), and
        with partial channels another of shape (edges,).

    Raises:
        InputError: the file does not exist, or has another content.
    """
    path = pathlib.Path(folder) / ALPHAS
    try:
        check_archive(path)
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            kinds = _kinds_in(arrays.files)
            over_edges = len(arrays.files) > len(kinds)
            needed = names_of(kinds) if over_edges and kinds != ("recurrent",) else kinds
            return tuple(_checked_alphas(name, arrays[name]) for name in needed)
    except Exception as error:  # zipfile and NumPy raise many types for damaged archives
        reason = shortened(first_line(error), SHOWN)
        raise InputError(
            "Expected a file with the arrays normal and reduce, or recurrent, or cell. "
            f"Received: {str(path)!r} ({reason})"
        ) from error


def _checked_alphas(name: str, array) -> np.ndarray:
    dimensions = 1 if name.startswith("edges") else 2
    if not isinstance(array, np.ndarray) or array.dtype.kind != "f" or array.ndim != dimensions:
        raise ValueError(f"{name} is no array of floating-point numbers in {dimensions} dimensions")
    return array
