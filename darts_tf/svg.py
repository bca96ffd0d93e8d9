"""SVG files of figures that can be put into a page as they are, with tooltips and motions.

Matplotlib's own have ids, which may occur once in a page, and a style for all of the page.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from xml.etree import ElementTree

SVG = "http://www.w3.org/2000/svg"
TITLE, MOVING = "title:", "moving:"
"""How the `gid` of an artist begins that has a tooltip, and that of one which moves."""

Motion = Mapping[str, str]
"""The attributes of an SVG `animate` element."""


def titled(words: str) -> str:
    """The `gid` of an artist that stands for these words."""
    return TITLE + words


def moving(key: str) -> str:
    """The `gid` of an artist that moves as `motions[key]` says."""
    return MOVING + key


def svg_of(figure, motions: Mapping[str, Sequence[Motion]] | None = None) -> bytes:
    """The figure as an SVG file without ids; the same figure is the same bytes.

    Args:
        figure: of matplotlib. Its own `gid` and those of its artists may be `titled` or `moving`.
        motions: by the keys of what moves, how.
    """
    from matplotlib import rc_context

    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    file = io.BytesIO()
    with rc_context({"svg.hashsalt": "darts-tf"}):
        figure.savefig(file, format="svg", metadata=nothing)
    ElementTree.register_namespace("", SVG)
    root = ElementTree.fromstring(file.getvalue())
    for parent in root.iter():
        for child in [child for child in parent if _is_unwanted(child)]:
            parent.remove(child)
    for element in root.iter():
        _finish(element, root, motions or {})
    root.set("role", "img")
    root.set("stroke-linejoin", "round")
    return ElementTree.tostring(root, encoding="utf-8", xml_declaration=True) + b"\n"


def _is_unwanted(element) -> bool:
    """Whether this is metadata, or the style of all of the page."""
    return element.tag in (f"{{{SVG}}}metadata", f"{{{SVG}}}defs")


def _finish(element, root, motions) -> None:
    gid = element.attrib.pop("id", "")
    if gid.startswith(TITLE):
        whole = element.tag == f"{{{SVG}}}g" and gid == root.get("title")
        title = ElementTree.Element(f"{{{SVG}}}title")
        title.text = gid.removeprefix(TITLE)
        (root if whole else element).insert(0, title)
    elif gid.startswith(MOVING):
        for motion in motions[gid.removeprefix(MOVING)]:
            element.append(ElementTree.Element(f"{{{SVG}}}animate", dict(motion)))
