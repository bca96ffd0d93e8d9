"""Folders of tiny texts."""

from __future__ import annotations

import pathlib

import numpy as np

from darts_tf.data.text import make_text

SMALL = {"train": "a b a\n\n  c\tb \n", "valid": "b d\n", "test": "a <unk> d"}
SPLITS = tuple(SMALL)


def write_texts(folder: pathlib.Path, **texts: str | bytes | None) -> pathlib.Path:
    """Writes `SMALL` with some texts replaced; None writes no file."""
    folder.mkdir(exist_ok=True)
    for split, text in (SMALL | texts).items():
        if text is not None:
            content = text if isinstance(text, bytes) else text.encode()
            (folder / f"{split}.txt").write_bytes(content)
    return folder


def counting_text(words: int = 400, period: int = 11, seed: int = 0):
    """Returns a learnable dataset whose words count up and restart, with rare errors."""
    draw = np.random.default_rng(seed)

    def text(size):
        slips = draw.random(size) < 0.05
        numbers = np.where(slips, draw.integers(0, period, size), np.arange(size) % period)
        return " ".join(f"w{number}" for number in numbers)

    return make_text("counting", [text(words), text(words // 2), text(words // 2)])
