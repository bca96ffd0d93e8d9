"""Registers the classes of saved models with Keras, without importing Keras or TensorFlow.

`keras.saving.load_model` knows a class once the module that registers it has been imported, and
imports no modules but Keras' own. `import darts_tf` must not import TensorFlow either. So Keras is
given stand-ins, whether it is imported before or after, that import a class when it is needed.
"""

from __future__ import annotations

import importlib
import sys

PACKAGE = "darts_tf"
SAVED = {
    "Network": "models.network",
    "StagedNetwork": "models.network",
    "Supernet": "models.supernet",
    "StagedSupernet": "models.supernet",
    "LanguageModel": "models.language_model",
    "RecurrentSupernet": "models.recurrent_supernet",
    "RecurrentCell": "layers.recurrent_cells",
    "MixedRecurrentCell": "layers.mixed_recurrent_cell",
    "BatchNormalization": "layers.normalization",
    "SGD": "training.optimizers",
    "Adam": "training.optimizers",
    "SharedAdam": "search.arch_optimizers",
}
"""Registered classes and their modules, relative to the package."""


def register() -> None:
    """Gives Keras the stand-ins: now if it has been imported, otherwise as soon as it is."""
    keras = sys.modules.get("keras")
    if keras:
        _give_stand_ins(keras)
    else:
        sys.meta_path.insert(0, _KerasFinder())


class _StandIn:
    """Stand-in for a class: imports it when an object is rebuilt from its config."""

    def __init__(self, name: str):
        self.name = name

    def from_config(self, config, **options):
        module = importlib.import_module(f"{PACKAGE}.{SAVED[self.name]}")
        return getattr(module, self.name).from_config(config, **options)


def _give_stand_ins(keras) -> None:
    known = keras.saving.get_custom_objects()
    for name in SAVED:
        known.setdefault(f"{PACKAGE}>{name}", _StandIn(name))


class _KerasFinder:
    """Import hook: gives Keras the stand-ins once its module has run, and removes itself."""

    def find_spec(self, name, path=None, target=None):
        if name != "keras":
            return None
        others = [finder for finder in sys.meta_path if finder is not self]
        specs = (finder.find_spec(name, path, target) for finder in others)
        spec = next(filter(None, specs), None)
        if spec and spec.loader:
            run = spec.loader.exec_module

            def run_and_register(module):
                run(module)
                _give_stand_ins(module)
                sys.meta_path.remove(self)

            spec.loader.exec_module = run_and_register  # `find_spec` alone runs nothing
        return spec
