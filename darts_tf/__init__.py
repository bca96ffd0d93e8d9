"""Differentiable architecture search (DARTS, Liu et al. 2019) on Keras 3 and TensorFlow.

Public names are imported on first use, so that `import darts_tf` is instant.
"""

from __future__ import annotations

import importlib

from darts_tf import keras_registration

__version__ = "0.1.0"

_HOMES = {
    "spaces.genotype": ("Genotype", "RecurrentGenotype"),
    "spaces.derivation": ("derive", "derive_recurrent"),
    "spaces.zoo": ("GENOTYPES", "RECURRENT_GENOTYPES", "load_genotype"),
    "spaces.cell": ("ALL_PRIMITIVES", "PRIMITIVES", "RECURRENT_PRIMITIVES"),
    "models.supernet": ("Supernet",),
    "search.darts": ("DARTS",),
    "models.recurrent_supernet": ("RecurrentSupernet",),
    "layers.mixed_recurrent_cell": ("MixedRecurrentCell",),
    "layers.recurrent_cells": ("RecurrentCell",),
    "models.language_model": ("LanguageModel", "build_language_model"),
    "search.language_darts": ("LanguageDARTS",),
    "training.language_trainer": ("LanguageTrainer",),
    "layers.primitives": ("Primitive",),
    "layers.normalization": ("BatchNormalization",),
    "register": (
        *("register_dataset", "register_estimator", "register_primitive"),
        *("register_selection", "register_space"),
    ),
    "plugins": ("load_plugin",),
    "models.network": ("Network", "build_network", "load_network"),
    "models.counting": ("count_macs", "count_params"),
    "models.reference_weights": ("load_reference_weights",),
    "plots.figures": ("plot_genotype", "plot_supernet"),
    "data": ("load_dataset", "load_text"),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}

__all__ = sorted(_HOME)


def __getattr__(name: str):
    """Imports a public name from its module."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    """Public names, imported or not."""
    return [*globals(), *__all__]


keras_registration.register()
