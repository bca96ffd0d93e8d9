"""Selection of the cells of a search: what a rule gets, and the rules.

The rules are entries of `configs.selections.SELECTIONS`. No TensorFlow: a rule that measures the
supernet gets that as a function.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from darts_tf.configs.selections import SELECTIONS, STRENGTH
from darts_tf.errors import InputError, in_one_line, shown
from darts_tf.spaces.derivation import derive_genotype
from darts_tf.spaces.genotype import AnyGenotype
from darts_tf.spaces.search_spaces import Space


@dataclasses.dataclass(frozen=True)
class Context:
    """Facts about a search that a rule may need, beside its alphas.

    Attributes:
        space: the search space.
        relaxation: name of the relaxation, which gives the alphas their meaning.
        max_skips: most skip connections of the normal cell, or None.
        within_budget: derives the best cells within the budget from alphas; None without a budget.
        measure_supernet: selects cells on the trained supernet; None while there is none.
    """

    space: Space
    relaxation: str = "softmax"
    max_skips: int | None = None
    within_budget: Callable[..., AnyGenotype] | None = None
    measure_supernet: Callable[[], AnyGenotype] | None = None


def choose(name: str, context: Context, alphas: Sequence) -> AnyGenotype:
    """Returns the cells that a rule chooses.

    Args:
        name: a key of `SELECTIONS`.
        context: of the search.
        alphas: the arrays of the supernet: `(edges, primitives)` of the normal and of the reduction
            cell, and `(edges,)` of both where edges have alphas of their own.

    Raises:
        InputError: no cells within the limits, or a user's rule returns something else than cells.
    """
    return SELECTIONS[name](context, [np.asarray(array) for array in alphas])


def rule_of_epochs(name: str) -> str:
    """Returns the rule that gives the cells of every epoch of a search which ends with `name`."""
    return STRENGTH if SELECTIONS[name].needs_supernet else name


def check_rule(name: str, context: Context, over_edges: bool = False) -> None:
    """Tries a rule on alphas that are all zero, so that it fails before a search, not after it.

    Args:
        name: a key of `SELECTIONS`; of a rule that needs no supernet.
        context: of the search.
        over_edges: whether edges have alphas of their own.

    Raises:
        InputError: the rule fails, or returns something else than cells.
    """
    zeros = [np.zeros(shape) for shape in context.space.shapes]
    zeros += [np.zeros(rows) for rows, _ in context.space.shapes if over_edges]
    try:
        choose(name, context, zeros)
    except InputError:
        raise
    except Exception as error:
        raise InputError(
            f"Expected the selection {name} to choose cells of any alphas. "
            f"Received: {in_one_line(error)}"
        ) from error


def by_strength(context: Context, alphas: Sequence[np.ndarray]) -> AnyGenotype:
    """Keeps the strongest operations and edges within the limits (Liu et al. 2019, sec. 2.4)."""
    if context.within_budget is not None:
        return context.within_budget(*alphas)
    return derive_genotype(context.space, alphas, context.relaxation, context.max_skips)


def by_perturbation(context: Context, alphas: Sequence[np.ndarray]) -> AnyGenotype:
    """Keeps what the supernet's accuracy depends on most (Wang et al. 2021, DARTS-PT)."""
    return context.measure_supernet()


def by_users_rule(
    name: str, rule: Callable, context: Context, alphas: Sequence[np.ndarray]
) -> AnyGenotype:
    """Calls a rule that a user has registered, `rule(alphas, primitives) -> Genotype`.

    Args:
        name: of the rule.
        rule: the user's function. It gets copies of the alphas in float64, and the names of the
            primitives by cell, edge and column.
        context: of the search.
        alphas: as in `choose`.

    Raises:
        InputError: it returns something else than a genotype.
    """
    genotype = rule([np.array(part, np.float64) for part in alphas], context.space.candidates)
    expected = context.space.genotype_class
    if not isinstance(genotype, expected):
        raise InputError(
            f"Expected the selection {name} to give {_article(expected.__name__)}. "
            f"Received: {shown(genotype)}"
        )
    return genotype


def _article(name: str) -> str:
    return f"{'an' if name[0] in 'AEIOU' else 'a'} {name}"
