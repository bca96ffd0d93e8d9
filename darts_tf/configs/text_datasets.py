"""Recognition of text datasets without reading them."""

from __future__ import annotations

import os

from darts_tf import registry

EMBEDDED_TEXTS = ("pydoc",)
"""Texts that need no folder; `data.corpora.TEXTS` reads them."""

SPLITS = ("train", "valid", "test")
FILES = tuple(f"{split}.txt" for split in SPLITS)
"""Names of the files in the folder of a text."""


def is_text(name_or_folder: str | os.PathLike[str]) -> bool:
    """Returns whether a dataset is a text: in `EMBEDDED_TEXTS`, or a folder with one of `FILES`.

    A folder with a subfolder `train` is a dataset of images, even with a file `train.txt` beside
    it, which some image datasets have as a list.
    """
    name = os.fspath(name_or_folder)
    folder = absolute(name)
    if name in registry.DATASETS:  # users register only datasets of images
        return False
    return name in EMBEDDED_TEXTS or (
        any(os.path.isfile(os.path.join(folder, file)) for file in FILES)
        and not os.path.isdir(os.path.join(folder, "train"))
    )


def absolute(folder: str) -> str:
    """Returns the absolute path of a folder, with `~` expanded."""
    return os.path.abspath(os.path.expanduser(folder))
