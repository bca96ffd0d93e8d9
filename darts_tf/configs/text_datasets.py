"""Which data sets are texts, told without reading them."""

from __future__ import annotations

import os

from darts_tf import registry

EMBEDDED_TEXTS = ("pydoc",)
"""Texts that need no folder; `data.corpora.TEXTS` reads them."""

SPLITS = ("train", "valid", "test")
FILES = tuple(f"{split}.txt" for split in SPLITS)
"""What the folder of a text has."""


def is_text(name_or_folder: str | os.PathLike[str]) -> bool:
    """Whether a dataset is a text: one of `EMBEDDED_TEXTS`, or a folder with one of its files.

    A folder with a folder `train` is one of images, which may come with lists named `train.txt`.
    """
    name = os.fspath(name_or_folder)
    folder = absolute(name)
    if name in registry.DATASETS:  # of images
        return False
    return name in EMBEDDED_TEXTS or (
        any(os.path.isfile(os.path.join(folder, file)) for file in FILES)
        and not os.path.isdir(os.path.join(folder, "train"))
    )


def absolute(folder: str) -> str:
    """A folder's path from any working directory."""
    return os.path.abspath(os.path.expanduser(folder))
