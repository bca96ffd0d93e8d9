"""Conversion of equations to MathML when the site is built; browsers show it without a script."""

from __future__ import annotations

import html
import re

from latex2mathml import converter

_MARKED = re.compile(r'<(span|div) class="arithmatex">\\([\[(])(.*?)\\[\])]</\1>', re.DOTALL)


def on_page_content(content: str, **_) -> str:
    """Replaces LaTeX that `pymdownx.arithmatex` has marked by MathML."""
    return _MARKED.sub(_mathml, content)


def _mathml(match: re.Match) -> str:
    display = "block" if match[2] == "[" else "inline"
    equation = converter.convert(html.unescape(match[3]).strip(), display=display)
    # a wide equation scrolls separately on a phone
    return f'<div class="equation">{equation}</div>' if display == "block" else equation
