"""Rules of users by which the cells of a search are chosen. Plain data, no TensorFlow."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from darts_tf import registry
from darts_tf.errors import InputError, in_one_line, shown
from darts_tf.spaces.genotype import Genotype
from darts_tf.spaces.search_spaces import Space


def by_rule(name: str, space: Space, over_edges: bool = False) -> Callable[..., Genotype]:
    """A function of alphas: the cells that a registered rule chooses.

    Args:
        name: of the rule.
        space: what the columns of the alphas stand for.
        over_edges: whether edges have alphas of their own.

    Raises:
        InputError: the rule fails on alphas that are all zero, or gives something else than cells.
    """
    rule = registry.SELECTIONS[name]

    def chosen(*alphas) -> Genotype:
        genotype = rule([np.array(part, np.float64) for part in alphas], space.candidates)
        if not isinstance(genotype, Genotype):
            raise InputError(
                f"Expected the selection {name} to give a Genotype. Received: {shown(genotype)}"
            )
        return genotype

    zeros = [np.zeros(shape) for shape in space.shapes]
    zeros += [np.zeros(rows) for rows, _ in space.shapes if over_edges]
    try:
        chosen(*zeros)  # a rule that cannot is told before a search rather than after it
    except InputError:
        raise
    except Exception as error:
        raise InputError(
            f"Expected the selection {name} to choose cells of any alphas. "
            f"Received: {in_one_line(error)}"
        ) from error
    return chosen
