"""Pictures of the weights that alphas stand for: a row for every edge, a column an operation.

They are drawn by Pillow, after every epoch of a search: matplotlib takes twenty times as long.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from darts_tf.spaces.cell import edges, nodes_of, recurrent_edges, recurrent_nodes_of
from darts_tf.spaces.derivation import edge_shares, weights_of

CELL, NAMED_CELL, LABEL, LINE = (86, 20), (124, 20), 64, 20
"""Pixels of a number's box, of one with a name, of the labels' width and the heading's height."""
LOW, HIGH = (247, 251, 255), (8, 48, 107)
"""Colours of a weight of 0 and of 1."""
EDGE = "whole edge"
"""What stands above the shares of edges with alphas of their own."""


def heat_images(
    alphas: Sequence, primitives, relaxation: str = "softmax", edge_primitives=None
) -> dict[str, bytes]:
    """PNG files by the kind of cell: `normal` and `reduce`, or `recurrent`.

    Args:
        alphas: the arrays of a supernet.
        primitives: what their columns stand for.
        relaxation: which weights they have, a name in `derivation.STRENGTHS`.
        edge_primitives: as `derive` takes them.
    """
    weights = [weights_of(array, relaxation) for array in alphas[:2]]
    if len(alphas) == 1:
        labels = recurrent_edges(recurrent_nodes_of(len(weights[0])))
        return {"recurrent": heat_map(weights[0], _labels(labels), primitives)}
    found = {}
    for place, cell in enumerate(("normal", "reduce")):
        names = edge_primitives[place] if edge_primitives else primitives
        shares = edge_shares(alphas[2 + place]) if len(alphas) > 2 else None
        labels = _labels(edges(nodes_of(len(weights[place]))))
        found[cell] = heat_map(weights[place], labels, names, shares)
    return found


def heat_map(weights: np.ndarray, rows: Sequence[str], columns, shares=None) -> bytes:
    """A PNG file.

    Args:
        weights: (edges, primitives) array, from 0 to 1.
        rows: what stands on the left.
        columns: what stands above; or of every edge what stands in its boxes.
        shares: (edges,) array of one more column, or None.
    """
    same = isinstance(columns[0], str)
    headings = [*(columns if same else [""] * len(columns[0])), *([] if shares is None else [EDGE])]
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
            name = "" if same or column == len(columns[row]) else f"{columns[row][column]} "
            ink = "white" if weight > 0.4 else "black"
            _write(draw, f"{name}{weight:.2f}", (left + wide / 2 - 1, middle - 1), ink)
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=1)
    return file.getvalue()


def colour_of(weight: float) -> tuple[int, ...]:
    """Darker for more; small weights, which most of them are, differ the most."""
    share = float(np.clip(weight, 0, 1)) ** 0.5
    return tuple(round(low + share * (high - low)) for low, high in zip(LOW, HIGH, strict=True))


def _labels(pairs) -> list[str]:
    return [f"{source} -> {target}" for source, target in pairs]


def _write(draw, text, middle, ink):
    draw.text(middle, text, fill=ink, font=_font(), anchor="mm")


@functools.cache
def _font():
    return ImageFont.load_default(11)
