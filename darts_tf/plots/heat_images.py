"""Pictures of the weights that alphas stand for: a row for every edge, a column an operation.

They are drawn by Pillow, after every epoch of a search: matplotlib takes twenty times as long.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from darts_tf.spaces.derivation import edge_shares, weights_of
from darts_tf.spaces.search_spaces import Space

CELL, NAMED_CELL, LABEL, LINE = (86, 20), (124, 20), 80, 20
"""Pixels of a number's box, of one with a name, of the labels' width and the heading's height."""
LOW, HIGH = (247, 251, 255), (8, 48, 107)
"""Colors of the smallest and the largest weight of a picture."""
LEAST_RANGE = 0.001
"""Least range of weights that colors show, so that equal weights have equal colors."""
EDGE = "whole edge"
"""Heading of the shares of edges that have their own alphas."""


def heat_images(alphas: Sequence, space: Space, relaxation: str = "softmax") -> dict[str, bytes]:
    """PNG files by the kind of cell, see `Space.kinds`.

    Args:
        alphas: the arrays of a supernet.
        space: of the search, which names the columns.
        relaxation: which weights they have, a name in `derivation.STRENGTHS`.
    """
    labels = [f"{source} -> {target}" for source, target in space.edges]
    images = {}
    kinds = space.kinds
    over_edges = alphas[len(kinds) :]
    for number, cell in enumerate(kinds):
        weights = weights_of(alphas[number], relaxation)
        shares = edge_shares(over_edges[number], space) if len(over_edges) else None
        images[cell] = heat_map(weights, labels, space.candidates[number], shares)
    return images


def heat_map(
    weights: np.ndarray,
    rows: Sequence[str],
    candidates: Sequence[Sequence[str]],
    shares: np.ndarray | None = None,
) -> bytes:
    """A PNG file of the weights of a cell. Where candidates differ, the boxes name them.

    Colors show the range of the picture's weights, which is in its corner. Shares have their own.

    Args:
        weights: (edges, primitives) array, from 0 to 1.
        rows: what stands on the left.
        candidates: names of the operations of every edge.
        shares: (edges,) array of one more column, or None.
    """
    same = len(set(candidates)) == 1
    headings = [*(candidates[0] if same else [""] * len(candidates[0]))]
    headings += [] if shares is None else [EDGE]
    ranges = [color_range(weights)] * weights.shape[1]
    corner = " to ".join(f"{weight:.3f}" for weight in ranges[0])
    if shares is not None:
        weights = np.column_stack([weights, shares])
        ranges.append(color_range(shares))
    wide, high = CELL if same else NAMED_CELL
    size = LABEL + weights.shape[1] * wide, LINE + weights.shape[0] * high
    image = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(image)
    _write(draw, corner, (LABEL / 2, LINE / 2), "black")
    for column, heading in enumerate(headings):
        _write(draw, heading, (LABEL + (column + 0.5) * wide, LINE / 2), "black")
    for row, label in enumerate(rows):
        middle = LINE + (row + 0.5) * high
        _write(draw, label, (LABEL / 2, middle), "black")
        for column, weight in enumerate(weights[row]):
            left, top = LABEL + column * wide, LINE + row * high
            box = (left, top, left + wide - 2, top + high - 2)
            draw.rectangle(box, fill=colour_of(weight, ranges[column]))
            own = [] if same else candidates[row]  # without the share, which is the last column
            name = f"{own[column]} " if column < len(own) else ""
            ink = "white" if place(weight, ranges[column]) > 0.65 else "black"
            _write(draw, f"{name}{weight:.3f}", (left + wide / 2 - 1, middle - 1), ink)
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=1)
    return file.getvalue()


def color_range(weights: np.ndarray) -> tuple[float, float]:
    """Returns the range of weights that colors show, at least `LEAST_RANGE` wide."""
    low, high = float(np.min(weights)), float(np.max(weights))
    middle, half = (low + high) / 2, max(high - low, LEAST_RANGE) / 2
    return middle - half, middle + half


def place(weight: float, weights: tuple[float, float]) -> float:
    """Returns the place of a weight in a range of weights, from 0 to 1."""
    return float(np.clip((weight - weights[0]) / (weights[1] - weights[0]), 0, 1))


def colour_of(weight: float, weights: tuple[float, float]) -> tuple[int, ...]:
    """Returns the color of a weight in a range of weights: darker for more."""
    share = place(weight, weights)
    return tuple(round(low + share * (high - low)) for low, high in zip(LOW, HIGH, strict=True))


def _write(draw, text, middle, ink):
    draw.text(middle, text, fill=ink, font=_font(), anchor="mm")


@functools.cache
def _font():
    return ImageFont.load_default(11)
