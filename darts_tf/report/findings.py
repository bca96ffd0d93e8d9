"""What is to be said of a run in words: how far it is, what it reached, whether it collapsed."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from darts_tf.configs.selections import SELECTIONS, STRENGTH
from darts_tf.report.charts import measured, number
from darts_tf.report.run import Run
from darts_tf.runs import files
from darts_tf.spaces.collapse import BOUNDED, describe_collapse
from darts_tf.spaces.genotype import RecurrentGenotype

UNDECIDED = 0.95
"""Edges are called undecided whose entropy is more than this share of the largest one."""

GREW = 1.3
"""An eigenvalue is said to have grown by more than this factor, as in Robust DARTS' rule."""

WIDE = 0.1
"""A discretisation gap above this accuracy is called wide."""


class Sign(NamedTuple):
    """A sentence about a run.

    Attributes:
        words: the sentence.
        bad: whether it is a reason to worry.
    """

    words: str
    bad: bool = False


def state(run: Run) -> Sign:
    """How far a run is; bad where it has not ended."""
    if run.stop:
        return Sign(f"Finished: {run.stop}.")
    if run.table and run.table.done:
        done, wanted = run.table.done
        return _state(done >= wanted, f"{done} of {wanted} {run.config.inner_runs}")
    if run.table:
        return Sign("As far as it is.")
    if run.config.inner_runs:
        return Sign("Not finished: nothing is done yet.", bad=True)
    stages = getattr(run.config, "stages", ())
    if stages:
        found = len(run.inside.get("Stages", ()))
        whole = found == len(stages) and len(run.metrics) >= run.config.epochs
        return _state(whole, f"stage {found} of {len(stages)}, {_epochs(run)}")
    if run.config.trains:
        kept = (run.folder / files.MODEL).is_file()
        if kept and not run.metrics:
            return Sign("Finished: its weights are imported, it was not trained here.")
        return _state(kept, _epochs(run))
    whole = len(run.metrics) >= run.config.epochs
    selection = SELECTIONS.get(getattr(run.config, "selection", STRENGTH))
    if whole and selection and selection.needs_supernet:
        wanted = _decisions(run)
        return _state(len(run.log.chosen) >= wanted, f"{len(run.log.chosen)} of {wanted} choices")
    return _state(whole, _epochs(run))


def _decisions(run: Run) -> int:
    """Of a selection by perturbation: an operation for every edge, inputs for every node."""
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
"""What a run has reached, the most telling first."""


def outcome(run: Run) -> tuple[str, str] | None:
    """What a run has reached: a name and a number; None where there is none.

    Of a training on text that of the epoch that is kept, which is the best one.
    """
    if not run.metrics:
        return None
    name = next((each for each in OUTCOMES if measured(run.metrics[-1].get(each))), None)
    if name is None:
        return None
    values = [measured(line.get(name)) for line in run.metrics]
    trained_text = run.config.trains and run.config.on_text
    value = min(value for value in values if value is not None) if trained_text else values[-1]
    of = "supernet's " if run.config.searches else ""
    told = f"{100 * value:.2f} %" if name.endswith("accuracy") else number(value)
    return of + name.replace("_", " "), told


def signs(run: Run) -> list[Sign]:
    """Whether a search collapsed, by its cells and by what was measured on the way."""
    found = []
    if run.genotype:
        words = describe_collapse(run.genotype)
        hint = f": {BOUNDED}" if words and getattr(run.config, "budget", None) else ""
        if words:
            found.append(Sign(f"Degenerate: {words}{hint}.", bad=True))
        else:
            found.append(Sign(f"Nothing is degenerate about the {_cells(run)}."))
    for name, genotype in run.compared.items():
        if words := describe_collapse(genotype):
            found.append(Sign(f"{name}: {words}.", bad=True))
    if run.config.searches:
        found += filter(None, (_skips(run), _entropy(run), _eigenvalue(run), _gap(run)))
        if run.stop:
            found.append(Sign(f"The search was {run.stop}."))
        found += filter(None, [_changes(run)])
    return found


def _cells(run: Run) -> str:
    return "cell" if isinstance(run.genotype, RecurrentGenotype) else "cells"


def _values(run: Run, name: str) -> list[float]:
    found = (measured(line.get(name)) for line in run.metrics)
    return [value for value in found if value is not None]


def _skips(run: Run) -> Sign | None:
    values = _values(run, "skips_normal")
    if not values or not run.genotype:
        return None
    edges = len(run.genotype.normal)
    return Sign(
        f"Skip connections of the normal cell, by the alphas: {values[0]:g} of {edges} after the "
        f"first epoch, {values[-1]:g} after the last, {max(values):g} at most.",
        bad=values[-1] > edges / 2,
    )


def _entropy(run: Run) -> Sign | None:
    """Of the edges; where they are still undecided in the end the genotype says little."""
    parts, hardly = [], False
    for cell in run.moves.cells if run.moves else ():
        values = _values(run, f"entropy_{cell.name}")
        candidates = int((~np.isnan(cell.weights[-1])).sum(axis=1).max())
        if values and candidates > 1:
            most = math.log(candidates)
            hardly |= values[-1] > UNDECIDED * most
            parts.append(f"{values[-1]:.2f} of at most {most:.2f} nats in the {cell.name} cell")
    if not parts:
        return None
    decided = "the edges are hardly decided" if hardly else "the edges are getting decided"
    return Sign(f"Mean entropy of the edges in the end: {', '.join(parts)}; {decided}.")


def _eigenvalue(run: Run) -> Sign | None:
    values = _values(run, "eigenvalue")
    if len(values) < 2 or min(values[0], values[-1]) <= 0:
        return None
    grew = values[-1] / values[0]
    worry = ", which announces bad cells" if grew > GREW else ""
    return Sign(
        "The dominant eigenvalue of the valid loss along the alphas went from "
        f"{number(values[0])} to {number(values[-1])}, {grew:.2f} times{worry}.",
        bad=grew > GREW,
    )


def _gap(run: Run) -> Sign | None:
    values = _values(run, "discretisation_gap")
    if not values:
        return None
    return Sign(
        f"Cut down to its genotype, the supernet loses {100 * values[-1]:.1f} points of accuracy.",
        bad=values[-1] > WIDE,
    )


def _changes(run: Run) -> Sign | None:
    """When the cells changed last, by the genotypes in the metrics."""
    told = [line.get("genotype") for line in run.metrics]
    if len(told) < 2 or not all(isinstance(each, str) for each in told):
        return None
    changed = [i for i in range(1, len(told)) if told[i] != told[i - 1]]
    last = f", the last time in epoch {changed[-1] + 1}" if changed else ""
    return Sign(f"The {_cells(run)} changed in {len(changed)} of {len(told)} epochs{last}.")
