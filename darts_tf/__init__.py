"""Differentiable architecture search (DARTS, Liu et al. 2019) on Keras 3 and TensorFlow.

Public names are imported on first use, so that `import darts_tf` is instant.
"""

from __future__ import annotations

from darts_tf import keras_registration, lazy

__version__ = "0.1.0"

HOMES = {
    "spaces.genotype": ("EdgeGenotype", "Genotype", "RecurrentGenotype"),
    "spaces.derivation": ("derive", "derive_recurrent"),
    "spaces.zoo": ("GENOTYPES", "RECURRENT_GENOTYPES", "load_genotype"),
    "spaces.cell": ("ALL_PRIMITIVES", "PRIMITIVES", "RECURRENT_PRIMITIVES"),
    "models.supernet": ("StagedSupernet", "Supernet"),
    "search.darts": ("DARTS",),
    "search.images": ("search_images",),
    "search.text": ("search_text",),
    "models.recurrent_supernet": ("RecurrentSupernet",),
    "layers.mixed_recurrent_cell": ("MixedRecurrentCell",),
    "layers.recurrent_cells": ("RecurrentCell",),
    "models.language_model": ("LanguageModel", "build_language_model"),
    "search.language_darts": ("LanguageDARTS",),
    "training.language_trainer": ("LanguageTrainer",),
    "training.optimizers": ("SGD", "Adam"),
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
    "data.corpora": ("load_text",),
    "data.sources": ("load_dataset",),
    "data.text": ("make_text",),
    "data.user_dataset": ("make_dataset",),
    "jobs.comparisons": (
        *("Comparison", "Selection"),
        *("compare_genotypes", "compare_methods", "select_genotype"),
    ),
    "jobs.exports": ("Export", "export_network", "predict_images"),
    "jobs.searches": ("Search", "derive_cells", "search_cells"),
    "jobs.trainings": ("Training", "evaluate_network", "open_run", "train_network"),
}
"""Public names by the module that defines them."""

__getattr__, __dir__, __all__ = lazy.attach(__name__, HOMES)

keras_registration.register()
