"""What a format may need beside a network and its preprocessing."""

from __future__ import annotations

from typing import NamedTuple


class Examples(NamedTuple):
    """The data that a network was made for.

    Attributes:
        classes: labels in the order of the logits.
    """

    classes: tuple[str, ...]
