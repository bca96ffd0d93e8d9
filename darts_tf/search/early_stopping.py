"""When a search is stopped early, and which epoch's alphas it keeps: rules on its metrics.

A rule is a pure function of the metrics of all epochs so far; `RULES` names them. What a run has
written tells therefore by itself whether it was stopped.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np


@dataclasses.dataclass(frozen=True)
class Stop:
    """The end of a search before its last epoch.

    Attributes:
        epoch: the last one that was searched, from 0.
        kept: the one whose alphas are the result.
        reason: in words.
    """

    epoch: int
    kept: int
    reason: str

    def __str__(self) -> str:
        """A sentence, with epochs from 1."""
        return (
            f"stopped after epoch {self.epoch + 1}: {self.reason}; "
            f"the genotype is that of epoch {self.kept + 1}"
        )


def by_eigenvalue(config, lines: Sequence[Mapping]) -> Stop | None:
    """Robust DARTS' rule (Zela et al. 2020, section 4.3): the valid loss grows sharp.

    The mean of the dominant eigenvalue over a window of epochs has grown by a factor against the
    mean a window earlier, whose last epoch's alphas are kept.

    Args:
        config: `stop_eigenvalue` says whether; `stop_window`, `stop_factor`, and
            `stop_from_epoch`, the first epoch, from 1, after which the search may stop.
        lines: the metrics of the epochs so far.
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
    """The derived normal cell has more skip connections than it may, and had not before.

    The last alphas of which it had not are kept. A search that never had so few goes on.

    Args:
        config: `stop_skips` is how many it may have; None for any number.
        lines: the metrics of the epochs so far.
    """
    most = getattr(config, "stop_skips", None)  # recurrent cells have none
    if most is None or not lines or lines[-1]["skips_normal"] <= most:
        return None
    good = [line["epoch"] for line in lines if line["skips_normal"] <= most]
    if not good:
        return None
    reason = f"the normal cell has {lines[-1]['skips_normal']:g} skip connections, at most {most}"
    return Stop(lines[-1]["epoch"], good[-1], f"{reason} were allowed")


RULES = {"eigenvalue": by_eigenvalue, "skips": by_skips}


def stops_early(config) -> bool:
    """Whether a search with these settings may stop before its last epoch."""
    return config.stop_eigenvalue or getattr(config, "stop_skips", None) is not None


def decide(config, lines: Sequence[Mapping]) -> Stop | None:
    """Where a search with these metrics stops; None where it goes on.

    Args:
        config: the search's settings. Epochs before `arch_from_epoch` do not count.
        lines: the metrics of its epochs, from the first.
    """
    lines = [line for line in lines if line["epoch"] >= config.arch_from_epoch]
    for last in range(1, len(lines) + 1):
        for rule in RULES.values():
            if stop := rule(config, lines[:last]):
                return stop
    return None
