"""Trained networks for use elsewhere: SavedModel and TFLite, checked against Keras.

`export` writes a folder; `load` opens it, one of its models, or a training run's folder, to
classify images. TensorFlow is imported when they are first used.
"""

from __future__ import annotations

import importlib

_HOME = {
    "FORMATS": "formats",
    "Exported": "loading",
    "ParityError": "parity",
    "export": "writing",
    "load": "loading",
}

__all__ = sorted(_HOME)


def __getattr__(name: str):
    """Imports a public name from its module."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    """Public names, imported or not."""
    return [*globals(), *__all__]
