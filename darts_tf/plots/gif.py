"""GIF files and palettes of drawings, whose few colours stay as they are."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np

COLOURS = 64
"""Number of colors: enough for smooth edges of a dozen areas, at half the size of 256 colors."""
LOOKED_AT = 5
"""Images whose colours are counted, the last among them."""


def gif_of_images(images: Sequence, seconds: Sequence[float] = ()) -> bytes:
    """Images one after another, again and again; the same images are the same bytes.

    Args:
        images: arrays (height, width, 3) of uint8, of one shape.
        seconds: how long each is shown, where there are several.
    """
    first, *others = with_palette(images)
    times = [round(1000 * each) for each in seconds]
    more = {"save_all": True, "append_images": others, "duration": times, "loop": 0}
    file = io.BytesIO()
    first.save(file, "GIF", **(more if others else {}))
    return file.getvalue()


def with_palette(images: Sequence) -> list:
    """Returns the images as Pillow's, with one palette of `COLOURS` colors.

    The most frequent colors are kept as they are: those of areas. A pixel of another, at the edge
    of an area, has the nearest. (Pillow's own palettes are of means, and make white gray.)

    Args:
        images: arrays (height, width, 3) of uint8, of one shape.
    """
    from PIL import Image

    looked_at = images[:: -max(1, len(images) // LOOKED_AT)]
    codes, counts = np.unique(np.concatenate(list(map(_codes, looked_at))), return_counts=True)
    colours = codes[np.argsort(-counts, kind="stable")[:COLOURS]]
    table = _nearest(images, colours)
    drawn = [Image.fromarray(table[_codes(image)]) for image in images]
    for image in drawn:
        image.putpalette(_channels(colours).astype(np.uint8).tobytes())
    return drawn


def _codes(image) -> np.ndarray:
    """Each pixel as one number."""
    red, green, blue = np.moveaxis(image.astype(np.int32), -1, 0)
    return red << 16 | green << 8 | blue


def _channels(codes: np.ndarray) -> np.ndarray:
    return np.stack([codes >> 16, codes >> 8 & 255, codes & 255], axis=-1)


def _nearest(images: Sequence, colours: np.ndarray) -> np.ndarray:
    """By the number of a pixel that occurs in the images, the place of the colour nearest to it."""
    occurs = np.zeros(1 << 24, bool)
    for image in images:
        occurs[_codes(image)] = True
    own = np.flatnonzero(occurs)
    squares = (_channels(own)[:, None] - _channels(colours)) ** 2
    table = np.zeros(len(occurs), np.uint8)
    table[own] = squares.sum(axis=-1).argmin(axis=1)
    return table
