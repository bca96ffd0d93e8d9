"""Findings about a run, as sentences: its progress, its result, and signs of a collapse."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from darts_tf.report.charts import measured, number
from darts_tf.report.run import Run
from darts_tf.runs import files
from darts_tf.runs.confidence import describe_confidence
from darts_tf.runs.soundness import describe_decisions
from darts_tf.spaces.collapse import BOUNDED, describe_collapse
from darts_tf.spaces.genotype import CELL_TITLES

GREW = 1.3
"""Growth of the dominant eigenvalue above which it is a warning, as in Robust DARTS."""

WIDE = 0.1
"""Discretisation gap (a share of accuracy) above which it is a warning."""


class Sign(NamedTuple):
    """A sentence about a run.

    Attributes:
        words: the sentence.
        bad: True for a warning.
    """

    words: str
    bad: bool = False


def state(run: Run) -> Sign:
    """Describes the progress of a run; bad if the run is not finished."""
    if run.stop:
        return Sign(f"Finished: {run.stop}.")
    if run.table and run.table.done:
        done, wanted = run.table.done
        return _state(done >= wanted, f"{done} of {wanted} {run.config.inner_runs}")
    if run.table:
        return Sign("The number of runs to do is not known.")
    if run.config.inner_runs:
        return Sign("Not finished: no run is done yet.", bad=True)
    stages = getattr(run.config, "stages", ())
    if stages:
        done = len(run.inside.get("Stages", ()))
        whole = done == len(stages) and len(run.metrics) >= run.config.epochs
        return _state(whole, f"stage {done} of {len(stages)}, {_epochs(run)}")
    if run.config.trains:
        kept = (run.folder / files.MODEL).is_file()
        if kept and not run.metrics:
            return Sign("Finished: the weights are imported, not trained.")
        return _state(kept, _epochs(run))
    whole = len(run.metrics) >= run.config.epochs
    if whole and getattr(run.config, "selects_on_supernet", False):
        wanted = _decisions(run)
        return _state(len(run.log.chosen) >= wanted, f"{len(run.log.chosen)} of {wanted} choices")
    return _state(whole, _epochs(run))


def _decisions(run: Run) -> int:
    """Returns the number of choices of a selection by perturbation: one per edge and per node."""
    cells = run.moves.cells if run.moves else ()
    return sum(len(cell.edges) + len({target for _, target in cell.edges}) for cell in cells)


def _state(whole: bool, how_far: str) -> Sign:
    return Sign(f"Finished: {how_far}." if whole else f"Not finished: {how_far}.", not whole)


def _epochs(run: Run) -> str:
    return f"{len(run.metrics)} of {run.config.epochs} epochs"


OUTCOMES = (
    *("test_accuracy", "valid_accuracy", "test_perplexity", "valid_perplexity"),
    *("accuracy", "perplexity"),
)
"""Metrics that are a run's result, in order of preference."""


def outcome(run: Run) -> tuple[str, str] | None:
    """Returns the name and the formatted value of a run's result; None if it has none."""
    return outcome_of(run.config, run.metrics)


def outcome_of(config, metrics) -> tuple[str, str] | None:
    """Returns the name and the formatted value of the result in a run's metrics, or None.

    The value is that of the last epoch. A training on text keeps its best epoch, so it is the
    lowest value there.

    Args:
        config: the settings of the run.
        metrics: the metrics of its epochs.
    """
    if not metrics:
        return None
    name = next((each for each in OUTCOMES if measured(metrics[-1].get(each))), None)
    if name is None:
        return None
    values = [measured(line.get(name)) for line in metrics]
    trained_text = config.trains and config.on_text
    value = min(value for value in values if value is not None) if trained_text else values[-1]
    of = "supernet's " if config.searches else ""
    shown = f"{100 * value:.2f} %" if name.endswith("accuracy") else number(value)
    return of + name.replace("_", " ").replace("valid ", "validation "), shown


def verdict(run: Run) -> Sign | None:
    """Returns whether the result can be relied on; None if nothing is known about that yet."""
    reasons = sum(sign.bad for sign in signs(run))
    if reasons:
        many = f"{reasons} reasons" if reasons > 1 else "one reason"
        return Sign(f"Doubtful, for {many}.", bad=True)
    single = run.config.searches or run.config.trains
    if not single or state(run).bad:
        return None
    return Sign("Sound: nothing was found that speaks against this result.")


def signs(run: Run) -> list[Sign]:
    """Returns what speaks for and against a result, with the warnings first.

    The sentences are the doubts about a finished run, and signs of a collapse, from the cells and
    from the metrics of the search.
    """
    sentences = [Sign(f"{doubt[0].upper()}{doubt[1:]}.", bad=True) for doubt in run.doubts]
    if run.genotype:
        words = describe_collapse(run.genotype)
        hint = f": {BOUNDED}" if words and getattr(run.config, "budget", None) else ""
        if words:
            sentences.append(Sign(f"Degenerate: {words}{hint}.", bad=True))
        else:
            sentences.append(Sign(f"The {_cells(run)} {_verb(run)} not degenerate."))
    for name, genotype in run.compared.items():
        if words := describe_collapse(genotype):
            sentences.append(Sign(f"{name}: {words}.", bad=True))
    if run.config.searches:
        sentences += filter(None, _of_search(run))
        if run.stop:
            sentences.append(Sign(f"The search was {run.stop}."))
        sentences += filter(None, [_changes(run)])
    return sorted(sentences, key=lambda sign: not sign.bad)


def _of_search(run: Run) -> list[Sign | None]:
    return [_decisions_made(run), _skips(run), _entropy(run), _eigenvalue(run), _gap(run)]


def _decisions_made(run: Run) -> Sign | None:
    """Describes how many choices are decided."""
    if run.confidence is None:
        return None
    first, *_ = describe_confidence(run.confidence, run.genotype)
    return Sign(f"{first}.")


def _cells(run: Run) -> str:
    return "cell" if run.genotype and len(run.genotype.cells) == 1 else "cells"


def _verb(run: Run) -> str:
    return "is" if _cells(run) == "cell" else "are"


def _values(run: Run, name: str) -> list[float]:
    values = (measured(line.get(name)) for line in run.metrics)
    return [value for value in values if value is not None]


def _skips(run: Run) -> Sign | None:
    cell = run.genotype.cells[0] if run.genotype else None
    values = _values(run, f"skips_{cell.kind}") if cell else []
    if not values:
        return None
    edges = len(cell.pairs)
    return Sign(
        f"Skip connections in the {cell.title}, by the alphas: {values[0]:g} of {edges} after the "
        f"first epoch, {values[-1]:g} after the last, {max(values):g} at most.",
        bad=values[-1] > edges / 2,
    )


def _entropy(run: Run) -> Sign | None:
    """Describes the final entropy of edges; near the maximum, the genotype is almost random."""
    parts, shares = [], []
    for cell in run.moves.cells if run.moves else ():
        values = _values(run, f"entropy_{cell.name}")
        candidates = int((~np.isnan(cell.weights[-1])).sum(axis=1).max())
        if values and candidates > 1:
            most = math.log(candidates)
            shares.append(values[-1] / most)
            title = CELL_TITLES[cell.name]
            parts.append(f"{values[-1]:.2f} nats (at most {most:.2f}) in the {title}")
    if not parts:
        return None
    decided = describe_decisions(max(shares))
    return Sign(f"Mean entropy per edge after the last epoch: {', '.join(parts)}; {decided}.")


def _eigenvalue(run: Run) -> Sign | None:
    values = _values(run, "eigenvalue")
    if len(values) < 2 or min(values[0], values[-1]) <= 0:
        return None
    grew = values[-1] / values[0]
    worry = ", which often precedes degenerate cells" if grew > GREW else ""
    return Sign(
        "The dominant eigenvalue of the validation loss's Hessian went from "
        f"{number(values[0])} to {number(values[-1])}, {grew:.2f} times{worry}.",
        bad=grew > GREW,
    )


def _gap(run: Run) -> Sign | None:
    values = _values(run, "discretisation_gap")
    if not values:
        return None
    return Sign(
        f"Discretised to its genotype, the supernet loses {100 * values[-1]:.1f} points of "
        "accuracy.",
        bad=values[-1] > WIDE,
    )


def _changes(run: Run) -> Sign | None:
    """Describes how often the cells changed, and when last, by the genotypes in the metrics."""
    genotypes = [line.get("genotype") for line in run.metrics]
    if len(genotypes) < 2 or not all(isinstance(each, str) for each in genotypes):
        return None
    changed = [i for i in range(1, len(genotypes)) if genotypes[i] != genotypes[i - 1]]
    last = f", the last time in epoch {changed[-1] + 1}" if changed else ""
    return Sign(f"The {_cells(run)} changed in {len(changed)} of {len(genotypes)} epochs{last}.")
