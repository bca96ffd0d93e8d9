"""Trained networks for use elsewhere: SavedModel and TFLite, checked against Keras.

`export` writes a folder; `load` opens it, one of its models, or a training run's folder, to
classify images. `export_language_model` and `load_text_model` do so for language models, and
`sample` makes text with them. TensorFlow is imported when they are first used.
"""

from __future__ import annotations

import importlib

_HOME = {
    "FORMATS": "formats",
    "TEXT_FORMATS": "text.formats",
    "Exported": "loading",
    "ExportedText": "text.loading",
    "ParityError": "parity",
    "Words": "text.words",
    "export": "writing",
    "export_language_model": "text.writing",
    "load": "loading",
    "load_text_model": "text.loading",
    "sample": "text.sampling",
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
