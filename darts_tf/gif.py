"""GIF files of drawings, whose few colours stay as they are."""

from __future__ import annotations

import collections
import io
from collections.abc import Sequence

COLOURS = 256
"""What a GIF file can have."""
LOOKED_AT = 5
"""Images whose colours are counted, the last among them."""


def gif_of_images(images: Sequence, seconds: Sequence[float] = ()) -> bytes:
    """Images one after another, again and again; the same images are the same bytes.

    The most frequent colours are kept as they are: those of areas. A pixel of another, at the edge
    of an area, has the nearest.

    Args:
        images: Pillow's, of one size, in RGB.
        seconds: how long each is shown, where there are several.
    """
    from PIL import Image

    counts: collections.Counter = collections.Counter()
    for image in images[:: -max(1, len(images) // LOOKED_AT)]:
        pixels = image.width * image.height
        counts.update({colour: count for count, colour in image.getcolors(pixels)})
    frequent = sorted(counts, key=lambda colour: (-counts[colour], colour))[:COLOURS]
    palette = Image.new("P", (1, 1))
    palette.putpalette([channel for colour in frequent for channel in colour])
    first, *others = (image.quantize(palette=palette, dither=Image.Dither.NONE) for image in images)
    more = {"save_all": True, "append_images": others, "loop": 0} if others else {}
    if others:
        more["duration"] = [round(1000 * each) for each in seconds]
    file = io.BytesIO()
    first.save(file, "GIF", **more)
    return file.getvalue()
