"""Early stopping of a search: rules on its metrics, and the epoch whose alphas are kept.

A rule is a pure function of the metrics of all epochs so far; `RULES` lists the rules by name. The
metrics that a run has written are therefore enough to decide if it was stopped.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from darts_tf.spaces.genotype import CELL_TITLES
from darts_tf.spaces.search_spaces import DARTS, SPACES

DECIDED_FROM = 6
"""Fewest sets of weights after which a search may stop because its choices are decided."""


@dataclasses.dataclass(frozen=True)
class Stop:
    """The end of a search before its last epoch.

    Attributes:
        epoch: last epoch of the search, from 0.
        kept: epoch whose alphas are the result, from 0.
        reason: the reason, for people.
    """

    epoch: int
    kept: int
    reason: str

    def __str__(self) -> str:
        """Describes the stop in a sentence, with epochs from 1."""
        return (
            f"stopped after epoch {self.epoch + 1}: {self.reason}; "
            f"the genotype is that of epoch {self.kept + 1}"
        )


def by_eigenvalue(config, lines: Sequence[Mapping]) -> Stop | None:
    """Stops when the validation loss becomes sharp (Robust DARTS, Zela et al. 2020, sec. 4.3).

    The search stops if the mean of the dominant eigenvalue over the last `stop_window` epochs is
    more than `stop_factor` times the mean over the window before. The alphas of the last epoch of
    the window before are kept.

    Args:
        config: settings: `stop_eigenvalue` enables the rule; `stop_window`; `stop_factor`; and
            `stop_from_epoch`, the first epoch, from 1, after which the search may stop.
        lines: metrics of the epochs so far.

    Returns:
        The stop; None if the search continues.
    """
    window = config.stop_window
    values = [line.get("eigenvalue") for line in lines[-2 * window :]]
    late = bool(lines) and lines[-1]["epoch"] + 1 >= config.stop_from_epoch
    if not config.stop_eigenvalue or not late or len(values) < 2 * window or None in values:
        return None
    before, now = np.mean(values[:window]), np.mean(values[window:])
    if before <= 0 or now <= config.stop_factor * before:
        return None
    reason = (
        f"the mean of the dominant eigenvalue over {window} epochs is {now:.4g}, "
        f"{now / before:.2f} times that of {window} epochs earlier, "
        f"where {config.stop_factor:g} times is the bound"
    )
    return Stop(lines[-1]["epoch"], lines[-1 - window]["epoch"], reason)


def by_skips(config, lines: Sequence[Mapping]) -> Stop | None:
    """Stops when the derived normal cell, or only cell, has more skip connections than allowed.

    The alphas of the latest epoch with an allowed number are kept. If there is none, the search
    continues.

    Args:
        config: settings: `stop_skips` is the maximum; None for no maximum.
        lines: metrics of the epochs so far.

    Returns:
        The stop; None if the search continues.
    """
    most = getattr(config, "stop_skips", None)  # searches on text do not have this setting
    if most is None or not lines:
        return None
    kind = SPACES[getattr(config, "space", DARTS)].kinds[0]
    counts = [line[f"skips_{kind}"] for line in lines]
    if counts[-1] <= most:
        return None
    good = [line["epoch"] for line, count in zip(lines, counts, strict=True) if count <= most]
    if not good:
        return None
    reason = f"the {CELL_TITLES[kind]} has {counts[-1]:g} skip connections, at most {most}"
    return Stop(lines[-1]["epoch"], good[-1], f"{reason} were allowed")


def by_decisions(config, lines: Sequence[Mapping]) -> Stop | None:
    """Stops when every choice of the cells is decided, see `runs.confidence`.

    Only between two sets of weights, and after `DECIDED_FROM` of them: a bootstrap of fewer would
    decide too easily.

    Args:
        config: settings: `until_decided` enables the rule; `restart_every`.
        lines: metrics of the epochs so far.

    Returns:
        The stop; None if the search continues.
    """
    if not config.until_decided or not lines:
        return None
    last, every = lines[-1], config.restart_every
    starts, rest = divmod(last["epoch"] + 1, every)
    if rest or starts < DECIDED_FROM or last.get("undecided") != 0:
        return None
    reason = f"every choice of the cells is decided by {starts} sets of weights"
    return Stop(last["epoch"], last["epoch"], reason)


RULES = {"eigenvalue": by_eigenvalue, "skips": by_skips, "decisions": by_decisions}
"""Rules by name; the first that stops a search decides which epoch is kept."""


def stops_early(config) -> bool:
    """Returns True if a search with these settings may stop before its last epoch."""
    stops = config.stop_eigenvalue or config.until_decided
    return stops or getattr(config, "stop_skips", None) is not None


def decide(config, lines: Sequence[Mapping]) -> Stop | None:
    """Returns the first stop that a rule demands.

    Args:
        config: settings of the search. Epochs before `arch_from_epoch` do not count.
        lines: metrics of its epochs, from the first.

    Returns:
        The stop; None if the search continues.
    """
    lines = [line for line in lines if line["epoch"] >= config.arch_from_epoch]
    for last in range(1, len(lines) + 1):
        for rule in RULES.values():
            if stop := rule(config, lines[:last]):
                return stop
    return None
