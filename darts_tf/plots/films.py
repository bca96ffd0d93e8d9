"""Films of searches: how the cells changed from epoch to epoch, all of it in one picture."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from darts_tf.errors import InputError, unknown_name
from darts_tf.plots import sketches
from darts_tf.plots.drawing import line_width
from darts_tf.plots.figures import Page, composed, pixels
from darts_tf.plots.gif import gif_of_images
from darts_tf.plots.legend import weight_range
from darts_tf.plots.palette import DARK, LIGHT
from darts_tf.plots.sketches import Operation, Sketch
from darts_tf.plots.svg import Motion, moving, svg_of

MOST_FRAMES = 100
"""Maximum number of frames: longer searches are sampled evenly, with first and last epoch."""
SECONDS, LAST_SECONDS = 0.25, 3.0
"""Seconds that each epoch is shown, and the last one."""
DOTS = 100
"""Pixels an inch of GIF files."""


@dataclasses.dataclass(frozen=True)
class Part:
    """Changes of an artist from frame to frame."""

    visible: tuple[bool, ...]
    """In which frames it is there."""
    widths: tuple[float, ...] | None = None
    """Line width in each frame, in points; None if it is no line."""


@dataclasses.dataclass(frozen=True)
class Film:
    """A figure whose artists with a `moving` gid change from frame to frame."""

    figure: object
    parts: Mapping[str, Part]
    frames: int


def animation(
    history: Mapping[int, Sequence],
    format: str,
    *,
    cell: str | None = None,
    title: str | None = None,
    results: Mapping[int, str] | None = None,
    dark: bool = False,
    **of_search,
) -> bytes:
    """A film of a search: `plot_supernet` after every epoch, everything at the same place.

    Args:
        history: the alphas by epoch, as `alphas.load_history` gives them.
        format: a name of `FORMATS`.
        cell: as in `plot_supernet`.
        title: as in `plot_supernet`; the epoch follows it.
        results: by epoch, what follows in the title, such as the accuracy.
        dark: as in `plot_supernet`.
        **of_search: `primitives`, `relaxation`, `edge_primitives` and `space`, as in
            `plot_supernet`.

    Returns:
        The bytes of the file: GIF, or SVG that moves by itself and shows the last epoch in print.

    Raises:
        InputError: Another format, no epochs, or as `plot_supernet`.
    """
    if format not in FORMATS:
        raise unknown_name("format of an animation", format, FORMATS)
    if not history:
        raise InputError("Expected the alphas of one epoch or more. Received: none")
    epochs = sorted(history)
    shown = np.linspace(0, len(epochs) - 1, min(len(epochs), MOST_FRAMES)).round().astype(int)
    epochs = [epochs[i] for i in shown]
    frames = [sketches.of_alphas(history[epoch], cell=cell, **of_search) for epoch in epochs]
    titles = [
        f"{title or 'search'}: epoch {epoch + 1} of {max(history) + 1}"
        + (f", {results[epoch]}" if results and epoch in results else "")
        for epoch in epochs
    ]
    return FORMATS[format](filmed(frames, titles, dark))


def filmed(frames: Sequence[Sequence[Sketch]], titles: Sequence[str], dark: bool) -> Film:
    """The film of these frames, each the same cells with other operations and weights."""
    weights = weight_range(op for cells in frames for cell in cells for op in cell.operations)
    variants, parts = [], {}
    for number, cells in enumerate(zip(*frames, strict=True)):
        places = zip(*(cell.operations for cell in cells), strict=True)
        of_cell = []
        for place, operations in enumerate(places):
            looks = _looks(f"{number}-{place}", operations)
            of_cell.append({key: looks[key][0] for key in looks})
            for key, (_, visible) in looks.items():
                widths = tuple(line_width(op.weight, weights) for op in operations)
                parts |= {key: Part(visible), f"{key}-edge": Part(visible, widths)}
        variants.append(of_cell)
    headings = {}
    for text in dict.fromkeys(titles):
        key = f"title-{len(headings)}"
        headings[key] = text
        parts[key] = Part(tuple(title == text for title in titles))
    theme = DARK if dark else LIGHT
    page = Page(headings, theme, weighed=False, variants=variants, weights=weights)
    return Film(composed(frames[-1], page), parts, len(frames))


def _looks(start: str, operations: Sequence[Operation]):
    """By key, each different box on an edge, as the last that is so, and when it is there."""
    found = {}
    for operation in operations:
        look = (operation.primitive, operation.kept)
        visible = tuple((op.primitive, op.kept) == look for op in operations)
        found[f"{start}-{operation.primitive}-{operation.kept}"] = (operation, visible)
    return found


def gif_of(film: Film) -> bytes:
    """The film as a GIF that repeats; the same film is the same bytes."""
    by_key: dict[str, list] = {}
    for artist in film.figure.findobj(
        lambda artist: (artist.get_gid() or "").startswith(moving(""))
    ):
        by_key.setdefault(artist.get_gid().removeprefix(moving("")), []).append(artist)
    images = []
    for frame in range(film.frames):
        for key, part in film.parts.items():
            for artist in by_key[key]:
                artist.set_visible(part.visible[frame])
                if part.widths:
                    artist.set_linewidth(part.widths[frame])
        images.append(pixels(film.figure, DOTS))
    return gif_of_images(images, [SECONDS] * (len(images) - 1) + [LAST_SECONDS])


def moving_svg_of(film: Film) -> bytes:
    """The film as an SVG file that moves by itself."""
    length = SECONDS * (film.frames - 1) + LAST_SECONDS
    begins = [SECONDS * frame / length for frame in range(film.frames)]
    return svg_of(
        film.figure, {key: _motion(part, begins, length) for key, part in film.parts.items()}
    )


def _motion(part: Part, begins: Sequence[float], length: float) -> Motion:
    shown = ["visible" if visible else "hidden" for visible in part.visible]
    animations = []
    if len(set(shown)) > 1:
        animations.append(_animate("visibility", shown, begins, length, "discrete"))
    if part.widths and len(set(part.widths)) > 1:
        widths = [f"{width:.2f}" for width in (*part.widths, part.widths[-1])]
        animations.append(_animate("stroke-width", widths, [*begins, 1], length, "linear"))
    return Motion({} if part.visible[-1] else {"visibility": "hidden"}, tuple(animations))


def _animate(name: str, values, begins, length: float, mode: str) -> dict[str, str]:
    """The attributes of an `animate` element; values that repeat their neighbours are left out."""
    neighbours = zip([None, *values], values, [*values[1:], None], strict=False)
    needed = [
        value != before or (mode == "linear" and value != after)
        for before, value, after in neighbours
    ]
    return {
        "attributeName": name,
        "values": ";".join(itertools.compress(values, needed)),
        "keyTimes": ";".join(f"{begin:.5g}" for begin in itertools.compress(begins, needed)),
        "calcMode": mode,
        "dur": f"{length:g}s",
        "repeatCount": "indefinite",
    }


FORMATS: dict[str, Callable[[Film], bytes]] = {"gif": gif_of, "svg": moving_svg_of}
"""Writers of animations, by format."""
