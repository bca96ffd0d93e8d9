"""Sizes of images: those of files, and the one that a dataset's images are brought to.

Nothing is decoded here.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import PIL.ExifTags
import PIL.Image

MIN_SIDE = 8
"""Smallest side in pixels of images that networks take."""
CHOSEN_SIDE = 64
"""Side in pixels to which photos are resized by default, if they are not smaller."""
KEPT_SIDE = 96
"""Largest side in pixels at which images of one common size keep it by default."""
SAMPLE = 1000
"""Number of images whose sizes are looked at to choose a size for all."""


class Size(NamedTuple):
    """Size of all images of a dataset.

    Attributes:
        height: height in pixels.
        width: width in pixels.
        shorter_side: length to which the shorter side of other images is resized before their
            centre is cropped; None resizes the whole image. See `Preprocessing`.
    """

    height: int
    width: int
    shorter_side: int | None = None


def square(side: int, resize: str) -> Size:
    """Returns the size of square images, and how others are brought to it.

    Args:
        side: height and width in pixels.
        resize: `crop` keeps the aspect ratio and crops the centre, `squeeze` does not.
    """
    return Size(side, side, side if resize == "crop" else None)


def choose_size(sizes: Sequence[tuple[int, int]], resize: str) -> tuple[Size, str | None]:
    """Chooses the size of a dataset's images.

    Images of one size up to `KEPT_SIDE` keep it. Others become squares of `CHOSEN_SIDE` pixels, or
    of the typical shorter side if that is less.

    Args:
        sizes: height and width of images of the dataset.
        resize: as in `square`.

    Returns:
        The size, and a line for the user if images are resized.
    """
    if not sizes:  # none can be read, which decoding reports with a name
        return square(CHOSEN_SIDE, resize), None
    if len(set(sizes)) == 1 and max(sizes[0]) <= KEPT_SIDE and min(sizes[0]) >= MIN_SIDE:
        return Size(*sizes[0]), None
    typical = int(np.median([min(size) for size in sizes]))
    side = max(MIN_SIDE, min(CHOSEN_SIDE, typical // 4 * 4))
    least, most = (pick(sizes, key=lambda size: size[0] * size[1]) for pick in (min, max))
    what = "{1}x{0}".format(*least) + ("" if least == most else " to {1}x{0}".format(*most))
    how = "shorter side, then centre crop" if resize == "crop" else "squeezed to a square"
    return square(side, resize), (
        f"images of {what} pixels are resized to {side}x{side} ({how}); --image-size sets the size"
    )


def sampled_sizes(paths: Sequence[str]) -> list[tuple[int, int]]:
    """Returns height and width of at most `SAMPLE` image files, evenly spaced in the list."""
    count = min(SAMPLE, len(paths))
    return stored_sizes(paths[i * len(paths) // count] for i in range(count))


def stored_sizes(files: Iterable[str | io.BytesIO]) -> list[tuple[int, int]]:
    """Returns height and width of image files that can be read, after their EXIF rotation.

    Only headers are read.
    """
    sizes = []
    for file in files:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of large images, which decoding bounds
                with PIL.Image.open(file) as image:
                    width, height = image.size
                    turned = image.getexif().get(PIL.ExifTags.Base.Orientation, 1) in range(5, 9)
        except (OSError, ValueError, SyntaxError, PIL.Image.DecompressionBombError):
            continue  # what Pillow raises for files that it cannot read
        sizes.append((width, height) if turned else (height, width))
    return sizes
