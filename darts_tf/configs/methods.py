"""Search methods by name: gradient-based ones with their settings and papers, and baselines.

A gradient-based method is a set of settings of a search, the values of `search --method`; `compare`
takes methods of both kinds. To add one, add an entry to `GRADIENTS`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from darts_tf.configs.estimators import ESTIMATORS

PRESET_METHOD = "preset"
"""Value of `search --method` that leaves the method to the preset."""


@dataclasses.dataclass(frozen=True)
class Method:
    """A gradient-based search method.

    Attributes:
        settings: fields of `SearchConfig` that select it.
        paper: name of the method in its paper, authors and year.
    """

    settings: Mapping[str, object]
    paper: str


def _first_order(paper: str, **settings) -> Method:
    """Returns a method whose paper, or its main result, uses the first-order gradient."""
    return Method({"arch_gradient": "first_order", **settings}, paper)


GRADIENTS: dict[str, Method] = {
    **{
        name: Method({"arch_gradient": name}, "DARTS, Liu et al. 2019")
        for name in ESTIMATORS.maps[-1]
    },
    "partial_channels": _first_order("PC-DARTS, Xu et al. 2020", partial_channels=4),
    "fair": _first_order("Fair DARTS, Chu et al. 2020", relaxation="sigmoid"),
    "gdas": _first_order("GDAS, Dong and Yang 2019", relaxation="gumbel"),
    "drnas": _first_order(
        # the regularizer takes the place of the weight decay
        "DrNAS, Chen et al. 2021",
        relaxation="dirichlet",
        arch_weight_decay=0.0,
    ),
    "beta_decay": _first_order("β-DARTS, Ye et al. 2022", regularizer="beta-decay"),
    "smooth_random": _first_order("SmoothDARTS, Chen and Hsieh 2020", perturb="random"),
    "smooth_adversarial": _first_order("SmoothDARTS, Chen and Hsieh 2020", perturb="adversarial"),
    "early_stop": _first_order("Robust DARTS, Zela et al. 2020", stop_eigenvalue=True),
    "oles": _first_order("OLES, Jiang et al. 2023", stop_operations=0.4),
    "lambda": _first_order("Lambda-DARTS, Movahedi et al. 2023", alignment_weight=0.125),
    "perturbation": _first_order("DARTS-PT, Wang et al. 2021", selection="perturbation"),
    "stages": _first_order(
        "P-DARTS, Chen et al. 2019", stages=("5:8:0.1", "11:5:0.4", "17:3:0.7"), max_skips=2
    ),
}
"""Gradient-based search methods by name, the values of `search --method`."""

BASELINES: dict[str, str] = {
    "random": "random search, Li and Talwalkar 2019",
    "evolution": "regularized evolution, Real et al. 2019",
    "bayesian": "Bayesian optimization, Snoek et al. 2012",
    "hyperband": "Hyperband, Li et al. 2018",
}
"""Search methods without a supernet, with their papers."""

METHODS = (*GRADIENTS, *BASELINES)
"""All search methods that `darts-tf compare` knows."""
