"""What the columns of a run's alphas stand for, as a file of its folder."""

from __future__ import annotations

import os
import pathlib

from darts_tf import runs
from darts_tf.errors import InputError
from darts_tf.names import shown
from darts_tf.spaces.cell import ByEdge, checked_by_edge, nodes_of
from darts_tf.spaces.search_spaces import DARTS, SPACES


def save_primitives(folder: str | os.PathLike[str], by_edge: ByEdge) -> None:
    """Writes the primitives of every edge, where they are others than the paper's."""
    if by_edge != SPACES[DARTS].by_edge:
        runs.write_json(pathlib.Path(folder) / runs.EDGE_PRIMITIVES, by_edge)


def load_primitives(folder: str | os.PathLike[str]) -> ByEdge:
    """The primitives of every edge of the normal cell and of the reduction, in a search on images.

    Raises:
        InputError: the file holds something else, or primitives that nobody has registered here.
    """
    path = pathlib.Path(folder) / runs.EDGE_PRIMITIVES
    if not path.exists():
        return SPACES[DARTS].by_edge
    stored = runs.read_json(path)
    try:
        return checked_by_edge(stored, nodes_of(len(stored[0])))
    except (TypeError, LookupError) as error:
        expected = "Expected lists of primitives by cell and edge"
        raise InputError(f"{path}: {expected}. Received: {shown(stored)}") from error
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
