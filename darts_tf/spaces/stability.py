"""How stable cells are between searches: the edges that those of several seeds share."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Sequence

from darts_tf.spaces.difference import edges_of
from darts_tf.spaces.genotype import AnyGenotype
from darts_tf.spaces.search_spaces import Space


def shared_edges(first: AnyGenotype, second: AnyGenotype) -> int:
    """Returns the number of edges of two genotypes with the same ends and the same operation."""
    return len(set(edges_of(first)) & set(edges_of(second)))


def shared_by_pairs(genotypes: Sequence[AnyGenotype]) -> list[int]:
    """Returns the number of shared edges of every pair of genotypes."""
    return [shared_edges(*pair) for pair in itertools.combinations(genotypes, 2)]


def expected_shared(space: Space) -> float:
    """Returns the number of edges that two random genotypes of a space share on average.

    Both are drawn uniformly, as if each set of edges that a node can keep were drawn in proportion
    to the number of ways to put operations on it. If p(e) is the probability that an edge is kept,
    and it has c(e) operations, two genotypes share sum p(e)² / c(e) edges.
    """
    return sum(_expected_of_cell(space, cell) for cell in space.candidates)


def _expected_of_cell(space: Space, cell: tuple[tuple[str, ...], ...]) -> float:
    counts, expected = space.derivable(cell), 0.0
    for into in space.rows_by_node:
        rows = range(into.start, into.stop)
        able = [row for row in rows if counts[row]]
        kept = min(space.edges_per_node or len(rows), len(able))
        ways = {
            chosen: math.prod(counts[row] for row in chosen)
            for chosen in itertools.combinations(able, kept)
        }
        for row in able:
            share = sum(count for chosen, count in ways.items() if row in chosen)
            expected += (share / sum(ways.values())) ** 2 / counts[row]
    return expected


def describe_stability(genotypes: Sequence[AnyGenotype], space: Space) -> str:
    """Describes how many edges the cells of several searches share; "" for fewer than two.

    Args:
        genotypes: the derived cells, one of each seed.
        space: the search space of all.
    """
    if len(genotypes) < 2:
        return ""
    shared = shared_by_pairs(genotypes)
    edges = len(edges_of(genotypes[0]))
    low, high = min(shared), max(shared)
    spread = f", {low} to {high}" if low < high else ""
    return (
        f"cells of two seeds share {statistics.fmean(shared):.1f} of {edges} edges on average"
        f"{spread}; two random cells share {expected_shared(space):.1f}"
    )
