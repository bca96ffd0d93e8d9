"""Indicators of a search, measured after every epoch in addition to its losses.

An indicator is a pure function `(network, probes)` that returns a dict of numbers; `INDICATORS`
lists the indicators by name.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import keras
import numpy as np

from darts_tf.models.mixture import Mixture, projected
from darts_tf.search.eigenvalues import largest_eigenvalue
from darts_tf.spaces.collapse import count_skips
from darts_tf.spaces.derivation import mean_entropy


@dataclasses.dataclass(frozen=True)
class Probes:
    """Expensive probes of a supernet, traced on first use.

    Attributes:
        product: multiplies a vector by the validation loss's Hessian along the alphas.
        measure: returns accuracy and loss on the alphas' images for a mixture, see
            `models.mixture.measuring`; None for searches on text.
    """

    product: Callable[[np.ndarray], np.ndarray]
    measure: Callable[[Mixture], tuple[float, float]] | None = None


def skips(network, probes: Probes) -> dict[str, float]:
    """Counts the skip connections in the cells derived from the alphas, without a limit on them."""
    del probes
    genotype = network.genotype()
    return {f"skips_{cell.kind}": count_skips(cell.pairs) for cell in genotype.cells}


def entropy(network, probes: Probes) -> dict[str, float]:
    """Returns the mean entropy of the edges' softmaxed alphas, in nats, per kind of cell."""
    del probes
    kinds = network.space.kinds
    arrays = network.alphas[: len(kinds)]
    return {
        f"entropy_{kind}": mean_entropy(array) for kind, array in zip(kinds, arrays, strict=True)
    }


def eigenvalue(network, probes: Probes) -> dict[str, float]:
    """Computes the dominant eigenvalue of the validation loss's Hessian along all alphas."""
    size = sum(int(np.prod(alphas.shape)) for alphas in network.alphas)
    return {"eigenvalue": largest_eigenvalue(probes.product, size)}


def discretisation_gap(network, probes: Probes) -> dict[str, float]:
    """Returns the accuracy of the derived cells in the supernet, and the drop in accuracy.

    The supernet keeps its weights, but only the operations of the genotype derived from the alphas,
    without a limit or budget on it.

    Both accuracies use the statistics of each batch, see `measuring`; the one before therefore
    differs from the validation accuracy of the epoch.
    """
    mixture = network.mixture()
    before, _ = probes.measure(mixture)
    after, _ = probes.measure(projected(network.genotype(), mixture, network.space))
    return {"discretised_accuracy": after, "discretisation_gap": before - after}


INDICATORS = {
    "skips": skips,
    "entropy": entropy,
    "eigenvalue": eigenvalue,
    "discretisation_gap": discretisation_gap,
}
"""Indicators by name."""


def asked_of_cells(config) -> list[str]:
    """Returns the indicators of a search for convolutional cells: cheap ones, and those set."""
    gap = ["discretisation_gap"] if config.discretisation_gap else []
    return ["skips", *asked_of_text(config), *gap]


def asked_of_text(config) -> list[str]:
    """Returns the indicators of a search for recurrent cells."""
    return ["entropy", *(["eigenvalue"] if config.measures_eigenvalue else [])]


class Measure(keras.callbacks.Callback):
    """Adds indicators to the metrics of every epoch. Must run before metrics are recorded.

    Args:
        names: names in `INDICATORS`.
        probes: probes of the supernet.
    """

    def __init__(self, names: Sequence[str], probes: Probes):
        super().__init__()
        self.names = names
        self.probes = probes

    def on_epoch_end(self, epoch, logs=None):
        """Measures; the state of the run does not change."""
        for name in self.names:
            logs.update(INDICATORS[name](self.model.network, self.probes))
