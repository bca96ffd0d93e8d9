"""Equations become MathML while the site is built: browsers show it without a script."""

from __future__ import annotations

import html
import re

from latex2mathml import converter

_MARKED = re.compile(r'<(span|div) class="arithmatex">\\([\[(])(.*?)\\[\])]</\1>', re.DOTALL)


def on_page_content(content: str, **_) -> str:
    """Replaces what `pymdownx.arithmatex` has marked as LaTeX."""
    return _MARKED.sub(_mathml, content)


def _mathml(found: re.Match) -> str:
    display = "block" if found[2] == "[" else "inline"
    equation = converter.convert(html.unescape(found[3]).strip(), display=display)
    # wide ones are scrolled by themselves on a phone
    return f'<div class="equation">{equation}</div>' if display == "block" else equation
