"""What is measured of a search after every epoch, beside its losses.

An indicator is a pure function `(network, probes)` that gives numbers by their names; `INDICATORS`
names them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import keras
import numpy as np

from darts_tf.models.mixture import Mixture, projected
from darts_tf.runs.alphas import ALPHAS_NAMES, RECURRENT_ALPHAS
from darts_tf.search.eigenvalues import largest_eigenvalue
from darts_tf.spaces.cell import CELLS
from darts_tf.spaces.collapse import count_skips
from darts_tf.spaces.derivation import mean_entropy


@dataclasses.dataclass(frozen=True)
class Probes:
    """Expensive probes of a supernet, traced on first use.

    Attributes:
        product: the valid loss's Hessian along the alphas, times a vector.
        measure: accuracy and loss on the alphas' images, mixed by a given mixture.
    """

    product: Callable[[np.ndarray], np.ndarray]
    measure: Callable[[Mixture], tuple[float, float]] | None = None


def skips(network, probes: Probes) -> dict[str, float]:
    """Skip connections in the cells that the alphas stand for, without any limit on them."""
    del probes
    genotype = network.genotype()
    return {f"skips_{cell}": count_skips(getattr(genotype, cell)) for cell in CELLS}


def entropy(network, probes: Probes) -> dict[str, float]:
    """Mean entropy of the edges' softmaxed alphas, in nats, by the kind of cell."""
    del probes
    names = RECURRENT_ALPHAS if len(network.alphas) == 1 else ALPHAS_NAMES[:2]
    arrays = network.alphas[: len(names)]
    return {
        f"entropy_{name}": mean_entropy(array) for name, array in zip(names, arrays, strict=True)
    }


def eigenvalue(network, probes: Probes) -> dict[str, float]:
    """The dominant eigenvalue of the valid loss's Hessian along all alphas."""
    size = sum(int(np.prod(alphas.shape)) for alphas in network.alphas)
    return {"eigenvalue": largest_eigenvalue(probes.product, size)}


def discretisation_gap(network, probes: Probes) -> dict[str, float]:
    """By how much accuracy falls when the edges are cut down to the strongest, weights as they are.

    Those are the genotype's where no limit or budget has a part in it.

    Both accuracies are with the statistics of each batch, see `measuring`; the first one differs
    therefore from the valid accuracy of the epoch.
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


def asked_of_cells(config) -> list[str]:
    """The indicators that a search for convolutional cells is to have: the cheap ones always."""
    gap = ["discretisation_gap"] if config.discretisation_gap else []
    return ["skips", *asked_of_text(config), *gap]


def asked_of_text(config) -> list[str]:
    """The same of a search on text."""
    return ["entropy", *(["eigenvalue"] if config.measures_eigenvalue else [])]


class Measure(keras.callbacks.Callback):
    """Adds indicators to the metrics of every epoch; goes before what records them.

    Args:
        names: of `INDICATORS`.
        probes: of the network that is searched.
    """

    def __init__(self, names: Sequence[str], probes: Probes):
        super().__init__()
        self.names = names
        self.probes = probes

    def on_epoch_end(self, epoch, logs=None):
        """Measures; nothing of the run changes."""
        for name in self.names:
            logs.update(INDICATORS[name](self.model.network, self.probes))
