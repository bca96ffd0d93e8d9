"""Export of trained networks as SavedModel, TFLite and web page, compared with Keras.

`export` writes a folder. `load` opens it, one of its models, or a training run's folder, to
classify images. `export_language_model` and `load_text_model` do the same for language models, and
`sample` generates text with them. TensorFlow is imported on first use of a name.
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
