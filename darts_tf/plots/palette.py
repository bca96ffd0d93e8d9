"""Colors of operations in pictures, by the kind of operation.

The colours are those of Okabe and Ito, which people with any colour vision tell apart; each
has another lightness, so that they differ in gray print too, for which their purple is darker.
"""

from __future__ import annotations

import dataclasses

KINDS = {
    "sep_conv": "separable convolution",
    "dil_conv": "dilated convolution",
    "conv": "convolution",
    "nor_conv": "convolution",
    "max_pool": "pooling",
    "avg_pool": "pooling",
    "skip": "skip connection",
    "identity": "skip connection",
    "none": "none",
    "tanh": "tanh",
    "relu": "relu",
    "sigmoid": "sigmoid",
}
"""Kinds by how names of primitives begin; the longest that fits counts."""

OTHER = "other operation"
"""The kind of a primitive that no entry of `KINDS` fits."""

COLOURS = {
    "separable convolution": "#56b4e9",
    "dilated convolution": "#0072b2",
    "convolution": "#8a3b70",
    "pooling": "#f5c242",
    "skip connection": None,
    "none": "#9a9a9a",
    "tanh": "#56b4e9",
    "relu": "#f5c242",
    "sigmoid": "#0072b2",
    OTHER: "#009e73",
}
"""Fill color of boxes by kind; None for a box without a fill."""


@dataclasses.dataclass(frozen=True)
class Theme:
    """Colours of what is no operation."""

    background: str
    ink: str
    quiet: str
    """Color of the output's edges and of small print."""
    faint: str
    """Color of operations that the search would not keep."""
    state: str
    """Fill color of states."""


LIGHT = Theme("#ffffff", "#1f2328", "#8c959f", "#d5dae0", "#eceff2")
DARK = Theme("#15191f", "#e6e9ed", "#7d8792", "#3a424c", "#2a313a")
PAGE = Theme("#000001", "#000002", "#000003", "#000004", "#000005")
"""Placeholders of colors that the style sheet of a page sets; see `CSS_VARIABLES`."""

CSS_VARIABLES = {colour: f"var(--cell-{name})" for name, colour in dataclasses.asdict(PAGE).items()}
"""CSS variables by the colors of `PAGE`."""


def kind_of(primitive: str) -> str:
    """The kind of a primitive: a value of `KINDS`, or `OTHER`."""
    fitting = (start for start in KINDS if primitive.startswith(start))
    return KINDS.get(max(fitting, key=len, default=""), OTHER)


def faded(colour: str, into: str, share: float) -> str:
    """The colour with this share of another mixed in."""
    pairs = zip(_channels(colour), _channels(into), strict=True)
    return "#" + "".join(f"{round((1 - share) * a + share * b):02x}" for a, b in pairs)


def text_on(colour: str) -> str:
    """Black or white, whichever has the greater contrast with this colour (WCAG 2)."""
    linear = [
        c / 3294.6 if c <= 10.31 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in _channels(colour)
    ]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "#ffffff" if luminance < 0.179 else "#000000"


def _channels(colour: str) -> tuple[int, int, int]:
    return tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5))
