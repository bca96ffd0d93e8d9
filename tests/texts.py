"""Folders of tiny texts."""

from __future__ import annotations

import pathlib

SMALL = {"train": "a b a\n\n  c\tb \n", "valid": "b d\n", "test": "a <unk> d"}
SPLITS = tuple(SMALL)


def write_texts(folder: pathlib.Path, **texts: str | bytes | None) -> pathlib.Path:
    """Writes `SMALL` with other texts in place of some; of None no file."""
    folder.mkdir(exist_ok=True)
    for split, text in (SMALL | texts).items():
        if text is not None:
            content = text if isinstance(text, bytes) else text.encode()
            (folder / f"{split}.txt").write_bytes(content)
    return folder
