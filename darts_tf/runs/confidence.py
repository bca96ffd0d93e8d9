"""How sure each choice of derived cells is, from a search whose weights were restarted.

The alphas are the sum of what they moved while each set of weights was trained: of independent
samples, since all sets have other initial values and other halves of the images. Resampled sums are
alphas of searches with other seeds, and the same rule derives their cells (bootstrap, Efron 1979).
A choice is as sure as the share of them that make it: the probability, as far as this search can
tell, that another search makes it too.
"""

from __future__ import annotations

import dataclasses
import itertools
import os
import pathlib
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from darts_tf.errors import InputError, shown
from darts_tf.runs import files
from darts_tf.spaces.difference import Edge, edges_of
from darts_tf.spaces.genotype import CELL_TITLES, AnyGenotype

RESAMPLES = 200
"""Number of resampled searches."""

DECIDED = 0.9
"""Share of the resamples from which on a choice counts as decided."""

FEWEST = 3
"""Fewest sets of weights from which anything is said."""


@dataclasses.dataclass(frozen=True)
class Confidence:
    """The shares of resampled searches that make the choices of a genotype.

    Attributes:
        starts: number of sets of weights, one more than restarts.
        resamples: number of resampled searches.
        choices: by cell, node by node, a (operation, input state, share) for each edge that is
            kept, in the order of the genotype.
    """

    starts: int
    resamples: int
    choices: Mapping[str, tuple[tuple[str, int, float], ...]]

    @property
    def shares(self) -> dict[str, tuple[float, ...]]:
        """The shares by cell, in the order of the genotype's edges."""
        return {cell: tuple(share for *_, share in own) for cell, own in self.choices.items()}

    @property
    def all_shares(self) -> list[float]:
        """The shares of all choices."""
        return [share for own in self.shares.values() for share in own]

    @property
    def undecided(self) -> int:
        """Number of choices with a share below `DECIDED`."""
        return sum(share < DECIDED for share in self.all_shares)

    @property
    def undecided_pairs(self) -> dict[str, tuple[int, ...]]:
        """Numbers of the undecided pairs of the genotype, by cell, as pictures take them."""
        return {
            cell: tuple(number for number, share in enumerate(own) if share < DECIDED)
            for cell, own in self.shares.items()
        }

    def numbers(self) -> dict[str, float]:
        """Returns what the metrics of an epoch have."""
        return {"undecided": self.undecided, "confidence": float(np.mean(self.all_shares))}


def contributions(
    history: Mapping[int, Sequence[np.ndarray]], every: int
) -> list[tuple[np.ndarray, ...]]:
    """Returns what the alphas moved with each set of weights; they add up to the last alphas.

    The first contribution contains the initial alphas, which are random too.

    Args:
        history: alphas after every epoch, by epoch from 0.
        every: number of epochs of a set of weights; the last set may have fewer.
    """
    last = max(history)
    ends = [epoch for epoch in sorted(history) if (epoch + 1) % every == 0 or epoch == last]
    alphas = [[np.asarray(part, np.float64) for part in history[epoch]] for epoch in ends]
    before = [np.zeros_like(part) for part in alphas[0]]
    return [
        tuple(now - then for now, then in zip(after, earlier, strict=True))
        for earlier, after in itertools.pairwise([before, *alphas])
    ]


def resampled(
    parts: Sequence[Sequence[np.ndarray]], resamples: int = RESAMPLES, seed: int = 0
) -> list[list[np.ndarray]]:
    """Returns the alphas of resampled searches.

    Two sums of n contributions are drawn with replacement, and the deviations of both from the sum
    of all are added to that. For both this search and another one deviate from what searches find
    on average, so that their difference has twice the variance of one. Deviations are enlarged by
    sqrt(n / (n - 1)), so that the variance of a sum is estimated without bias, which matters for
    few contributions (Davison and Hinkley 1997, sec. 2.3).

    Args:
        parts: the contributions, each the arrays of a supernet's `alphas`; two or more.
        resamples: number of results.
        seed: seed of the draws.
    """
    n = len(parts)
    drawn = np.random.default_rng(seed).multinomial(n, [1 / n] * n, size=(2, resamples))
    factors = 1 + (drawn - 1).sum(0) * np.sqrt(n / (n - 1))
    sums = [np.tensordot(factors, np.stack(arrays), 1) for arrays in zip(*parts, strict=True)]
    return [list(arrays) for arrays in zip(*sums, strict=True)]


def confidence_of(
    genotype: AnyGenotype,
    parts: Sequence[Sequence[np.ndarray]],
    derive: Callable[[Sequence[np.ndarray]], AnyGenotype],
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Confidence | None:
    """Measures how sure the choices of a genotype are.

    Args:
        genotype: the derived cells.
        parts: the contributions of all sets of weights to the alphas, see `contributions`.
        derive: the rule that derives cells from alphas.
        resamples: as in `resampled`.
        seed: as in `resampled`.

    Returns:
        The confidence; None with fewer than `FEWEST` sets of weights.
    """
    if len(parts) < FEWEST:
        return None
    counts: dict[Edge, int] = {}
    for alphas in resampled(parts, resamples, seed):
        for edge in set(edges_of(derive(alphas))):
            counts[edge] = counts.get(edge, 0) + 1
    choices: dict[str, tuple] = {}
    for edge in edges_of(genotype):
        share = counts.get(edge, 0) / resamples
        choices[edge.cell] = (*choices.get(edge.cell, ()), (edge.primitive, edge.source, share))
    return Confidence(len(parts), resamples, choices)


def describe_confidence(confidence: Confidence, genotype: AnyGenotype) -> list[str]:
    """Returns lines for people: how many choices are decided, and every one that is not.

    Args:
        confidence: of the genotype.
        genotype: the derived cells.
    """
    shares = confidence.all_shares
    first = (
        f"{len(shares) - confidence.undecided} of {len(shares)} choices are decided: made in at "
        f"least {DECIDED:.0%} of {confidence.resamples} resamples of the {confidence.starts} sets "
        "of weights"
    )
    undecided = [
        f"  {CELL_TITLES[edge.cell]}, node {edge.node}: {edge.words}, in {share:.0%}"
        for edge, share in zip(edges_of(genotype), shares, strict=True)
        if share < DECIDED
    ]
    return [first, *(["undecided:"] if undecided else []), *undecided]


def save_confidence(folder: str | os.PathLike[str], confidence: Confidence | None) -> None:
    """Writes the confidence to the run's folder, replacing the file; None deletes it."""
    path = pathlib.Path(folder) / files.CONFIDENCE
    if confidence is None:
        path.unlink(missing_ok=True)
        return
    stored = {
        cell: [{"operation": o, "input": i, "share": share} for o, i, share in own]
        for cell, own in confidence.choices.items()
    }
    counts = {"starts": confidence.starts, "resamples": confidence.resamples}
    files.write_json(path, {**counts, "choices": stored})


def load_confidence(
    folder: str | os.PathLike[str], genotype: AnyGenotype | None
) -> Confidence | None:
    """Returns the confidence of a run's genotype; None if there is none, or of another genotype.

    Args:
        folder: folder of the run.
        genotype: the run's genotype; that of a selection on the supernet has no confidence.

    Raises:
        InputError: the file has another content.
    """
    path = pathlib.Path(folder) / files.CONFIDENCE
    if genotype is None or not path.is_file():
        return None
    stored = files.read_json(path)
    try:
        choices = {
            cell: tuple((c["operation"], c["input"], float(c["share"])) for c in own)
            for cell, own in stored["choices"].items()
        }
        counts = stored["starts"], stored["resamples"]
        shares = [share for own in choices.values() for *_, share in own]
        if any(type(n) is not int or n < 1 for n in counts) or not shares:
            raise ValueError(stored)
        if not all(0 <= share <= 1 for share in shares):
            raise ValueError(shares)
    except (TypeError, KeyError, AttributeError, ValueError) as error:
        raise InputError(
            f"{path}: Expected starts, resamples and choices with shares from 0 to 1. "
            f"Received: {shown(stored)}"
        ) from error
    own = [(e.cell, e.primitive, e.source) for e in edges_of(genotype)]
    known = [(cell, *choice[:2]) for cell, each in choices.items() for choice in each]
    return Confidence(*counts, choices) if own == known else None
