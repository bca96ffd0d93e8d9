"""Recognition of text datasets without reading them."""

from __future__ import annotations

import os
import re

from darts_tf import registry

EMBEDDED_TEXTS = ("pydoc",)
"""Texts that need no folder; `data.corpora.TEXTS` reads them."""

SPLITS = ("train", "valid", "test")
FILES = tuple(f"{split}.txt" for split in SPLITS)
"""Names of the files in the folder of a text."""

_PUBLISHED = re.compile(r"(?:[\w-]+\.)?(train|valid|test)\.(?:txt|tokens)")
"""Names as published, such as `ptb.train.txt` and `wiki.train.tokens`."""

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".gif")
"""Suffixes of image files that are read, in lower case."""


def is_text(name_or_folder: str | os.PathLike[str]) -> bool:
    """Returns whether a dataset is a text: in `EMBEDDED_TEXTS`, or a folder with files of a text.

    A folder with a subfolder `train`, or with images in a subfolder, is a dataset of images, even
    with files such as `train.txt` beside it, which some image datasets have as lists.
    """
    name = os.fspath(name_or_folder)
    folder = absolute(name)
    if name in registry.DATASETS:  # users register only datasets of images
        return False
    return name in EMBEDDED_TEXTS or (bool(text_files(folder)) and not _has_image_folders(folder))


def text_files(folder: str) -> dict[str, str]:
    """Returns the names of a text's files by split: `train.txt`, or names as published.

    The result is empty if there are none, and lacks the splits that have no file.
    """
    try:
        names = sorted(name for name in os.listdir(folder) if _PUBLISHED.fullmatch(name))
    except (OSError, ValueError):  # no folder, or a zero byte in its name
        return {}
    # a published name counts only if `train.txt` and the like do not exist
    plain = [name for name in names if name in FILES]
    return {_PUBLISHED.fullmatch(name)[1]: name for name in reversed(plain or names)}


def _has_image_folders(folder: str) -> bool:
    with os.scandir(folder) as entries:
        inner = [entry for entry in entries if entry.is_dir() and not entry.name.startswith(".")]
    return any(
        entry.name == "train"
        or any(
            name.lower().endswith(IMAGE_SUFFIXES)
            for _, _, names in os.walk(entry.path)
            for name in names
        )
        for entry in inner
    )


def absolute(folder: str) -> str:
    """Returns the absolute path of a folder, with `~` expanded."""
    return os.path.abspath(os.path.expanduser(folder))
