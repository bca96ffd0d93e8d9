"""SVG files of figures that can be put into a page as they are, with tooltips and motions.

Those that matplotlib writes have ids that clash with those of the next, and a style that is
for all of the page.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import re
from collections.abc import Mapping
from xml.etree import ElementTree

SVG, LINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
TITLE, MOVING = "title:", "moving:"
"""Prefixes of the `gid` of artists with a tooltip and of artists that move."""

_DECIMALS = re.compile(r"-?\d+\.\d{3,}")
_REFERENCE = re.compile(r"(?<=url\(#)[^)]+")


@dataclasses.dataclass(frozen=True)
class Motion:
    """Motion of an artist."""

    attributes: Mapping[str, str]
    """Attributes of its path where nothing moves, as in print."""
    animations: tuple[Mapping[str, str], ...]
    """The attributes of SVG's `animate` elements."""


def titled(words: str) -> str:
    """The `gid` of an artist that stands for these words; of a figure, its description."""
    return TITLE + words


def moving(key: str) -> str:
    """The `gid` of an artist that moves as `motions[key]` says."""
    return MOVING + key


def svg_of(figure, motions: Mapping[str, Motion] | None = None) -> bytes:
    """The figure as an SVG file; the same figure is the same bytes.

    Args:
        figure: of matplotlib. Its own `gid` may be `titled`, those of its artists also `moving`.
        motions: by the keys of what moves, how.
    """
    text = _written(figure)
    root = ElementTree.fromstring(text)
    for parent in [*root.iter()]:
        for child in [child for child in parent if _is_for_all_of_a_page(child)]:
            parent.remove(child)
    _rename(root, prefix=f"p{hashlib.sha256(text).hexdigest()[:8]}-")
    for element in [*root.iter()]:
        if outline := element.get("d"):
            element.set("d", _shortened(outline))
        gid = element.get("id", "")
        if gid.startswith((TITLE, MOVING)):
            del element.attrib["id"]
        if gid and gid == figure.get_gid():
            root.set("aria-label", gid.removeprefix(TITLE))
        elif gid.startswith(TITLE):
            _child(element, "title").text = gid.removeprefix(TITLE)
        elif gid.startswith(MOVING) and motions:
            _move(element, motions[gid.removeprefix(MOVING)])
    root.set("role", "img")
    root.set("stroke-linejoin", "round")
    for prefix, namespace in (("", SVG), ("xlink", LINK)):
        ElementTree.register_namespace(prefix, namespace)
    return ElementTree.tostring(root, encoding="utf-8", xml_declaration=True) + b"\n"


def _written(figure) -> bytes:
    from matplotlib import rc_context

    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    file = io.BytesIO()
    with rc_context({"svg.hashsalt": "darts-tf", "svg.fonttype": "path"}):
        figure.savefig(file, format="svg", metadata=nothing)
    return file.getvalue()


def _shortened(outline: str) -> str:
    """A path to a hundredth of a point; matplotlib writes millionths, a line for each point."""
    rounded = _DECIMALS.sub(lambda number: f"{float(number[0]):.2f}", outline)
    return " ".join(rounded.split())


def _is_for_all_of_a_page(element) -> bool:
    style = element.find(f"{{{SVG}}}style")
    return element.tag == f"{{{SVG}}}metadata" or (style is not None and len(element) == 1)


def _rename(root, prefix: str) -> None:
    """Gives ids that something refers to a prefix, and takes away others but for those of ours."""
    used = set()
    for element in root.iter():
        for name, value in element.items():
            if name == f"{{{LINK}}}href":
                used.add(value[1:])
                element.set(name, f"#{prefix}{value[1:]}")
            elif found := _REFERENCE.findall(value):
                used |= set(found)
                element.set(name, _REFERENCE.sub(lambda match: prefix + match[0], value))
    for element in root.iter():
        gid = element.get("id", "")
        if gid in used:
            element.set("id", prefix + gid)
        elif gid and not gid.startswith((TITLE, MOVING)):
            del element.attrib["id"]


def _child(element, tag: str):
    """A new first child."""
    child = ElementTree.Element(f"{{{SVG}}}{tag}")
    element.insert(0, child)
    return child


def _move(element, motion: Motion) -> None:
    for path in element.iter(f"{{{SVG}}}path"):
        for name, value in motion.attributes.items():
            path.set(name, value)
        for attributes in reversed(motion.animations):
            _child(path, "animate").attrib.update(attributes)
