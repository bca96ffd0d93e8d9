"""Trained networks for use elsewhere: SavedModel and TFLite, checked against Keras.

`export` writes a folder; `load` opens it, one of its models, or a training run's folder, to
classify images. `export_language_model` and `load_text_model` do so for language models, and
`sample` makes text with them. TensorFlow is imported when they are first used.
"""

from __future__ import annotations

from darts_tf import lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    {
        "formats": ("FORMATS",),
        "loading": ("Exported", "load"),
        "parity": ("ParityError",),
        "text.formats": ("TEXT_FORMATS",),
        "text.loading": ("ExportedText", "load_text_model"),
        "text.sampling": ("sample",),
        "text.words": ("Words",),
        "text.writing": ("export_language_model",),
        "writing": ("export",),
    },
)
