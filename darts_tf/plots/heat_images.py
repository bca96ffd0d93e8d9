"""Pictures of the weights that alphas stand for: a row for every edge, a column an operation.

They are drawn by Pillow, after every epoch of a search: matplotlib takes twenty times as long.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from darts_tf.spaces.cell import CELLS
from darts_tf.spaces.derivation import edge_shares, weights_of
from darts_tf.spaces.search_spaces import Space

CELL, NAMED_CELL, LABEL, LINE = (86, 20), (124, 20), 64, 20
"""Pixels of a number's box, of one with a name, of the labels' width and the heading's height."""
LOW, HIGH = (247, 251, 255), (8, 48, 107)
"""Colours of a weight of 0 and of 1."""
EDGE = "whole edge"
"""Heading of the shares of edges that have their own alphas."""


def heat_images(alphas: Sequence, space: Space, relaxation: str = "softmax") -> dict[str, bytes]:
    """PNG files by the kind of cell: `normal` and `reduce`, or `recurrent`.

    Args:
        alphas: the arrays of a supernet.
        space: of the search, which names the columns.
        relaxation: which weights they have, a name in `derivation.STRENGTHS`.
    """
    labels = [f"{source} -> {target}" for source, target in space.edges]
    images = {}
    for number, cell in enumerate(("recurrent",) if len(alphas) == 1 else CELLS):
        weights = weights_of(alphas[number], relaxation)
        shares = edge_shares(alphas[2 + number], space) if len(alphas) > 2 else None
        images[cell] = heat_map(weights, labels, space.candidates[number], shares)
    return images


def heat_map(
    weights: np.ndarray,
    rows: Sequence[str],
    candidates: Sequence[Sequence[str]],
    shares: np.ndarray | None = None,
) -> bytes:
    """A PNG file of the weights of a cell. Where candidates differ, the boxes name them.

    Args:
        weights: (edges, primitives) array, from 0 to 1.
        rows: what stands on the left.
        candidates: names of the operations of every edge.
        shares: (edges,) array of one more column, or None.
    """
    same = len(set(candidates)) == 1
    headings = [*(candidates[0] if same else [""] * len(candidates[0]))]
    headings += [] if shares is None else [EDGE]
    if shares is not None:
        weights = np.column_stack([weights, shares])
    wide, high = CELL if same else NAMED_CELL
    size = LABEL + weights.shape[1] * wide, LINE + weights.shape[0] * high
    image = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(image)
    for column, heading in enumerate(headings):
        _write(draw, heading, (LABEL + (column + 0.5) * wide, LINE / 2), "black")
    for row, label in enumerate(rows):
        middle = LINE + (row + 0.5) * high
        _write(draw, label, (LABEL / 2, middle), "black")
        for column, weight in enumerate(weights[row]):
            left, top = LABEL + column * wide, LINE + row * high
            box = (left, top, left + wide - 2, top + high - 2)
            draw.rectangle(box, fill=colour_of(weight))
            own = [] if same else candidates[row]  # without the share, which is the last column
            name = f"{own[column]} " if column < len(own) else ""
            ink = "white" if weight > 0.4 else "black"
            _write(draw, f"{name}{weight:.2f}", (left + wide / 2 - 1, middle - 1), ink)
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=1)
    return file.getvalue()


def colour_of(weight: float) -> tuple[int, ...]:
    """Darker for more; small weights, which most of them are, differ the most."""
    share = float(np.clip(weight, 0, 1)) ** 0.5
    return tuple(round(low + share * (high - low)) for low, high in zip(LOW, HIGH, strict=True))


def _write(draw, text, middle, ink):
    draw.text(middle, text, fill=ink, font=_font(), anchor="mm")


@functools.cache
def _font():
    return ImageFont.load_default(11)
