"""HTML of the generated pages: escaped text, tables, and the shared style."""

from __future__ import annotations

import functools
import html
import pathlib
from collections.abc import Iterable, Sequence

_STATIC = pathlib.Path(__file__).parent / "static"


def text(value: object) -> str:
    """Escapes a value for HTML."""
    return html.escape(str(value))


def table(header: Sequence[object], rows: Iterable[Sequence[object]]) -> str:
    """Returns a table. Cells carry their column's name, since narrow screens show rows as lists.

    Args:
        header: the names of the columns.
        rows: rows with one value per column.
    """
    head = "".join(f'<th scope="col">{text(name)}</th>' for name in header)
    body = "".join(
        "<tr>"
        + "".join(
            f'<td data-column="{text(name)}">{text(cell)}</td>'
            for name, cell in zip(header, row, strict=True)
        )
        + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def facts(pairs: Iterable[tuple[object, object]]) -> str:
    """Returns (name, value) pairs as a description list."""
    return "<dl>" + "".join(f"<dt>{text(n)}</dt><dd>{text(v)}</dd>" for n, v in pairs) + "</dl>"


def details(summary: object, body: str, opened: bool = False) -> str:
    """Returns a section that opens when its summary is clicked."""
    state = " open" if opened else ""
    return f"<details{state}><summary>{text(summary)}</summary>{body}</details>"


def page(
    title: str,
    body: str,
    maker: str = "darts-tf export",
    styles: Sequence[str] = (),
    scripts: Sequence[str] = (),
) -> str:
    """Returns a complete page without external resources.

    Args:
        title: the title as plain text.
        body: the body as HTML.
        maker: the command that writes such pages.
        styles: file names of further style sheets in `static`.
        scripts: file names of scripts in `static`.
    """
    style = "\n".join(map(static, ("page.css", *styles)))
    programs = "".join(f"<script>\n{static(name)}</script>\n" for name in scripts)
    parts = {"title": text(title), "style": style, "body": body, "programs": programs}
    return _PAGE.format(made_by=made_by(maker), **parts)


def made_by(maker: str) -> str:
    """Returns the `meta` element that names the command which wrote the page."""
    return f'<meta name="generator" content="{html.escape(maker)}">'


@functools.cache
def static(name: str) -> str:
    """Returns the text of a style sheet or script in `static`."""
    return (_STATIC / name).read_text(encoding="utf-8")


_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
{made_by}
<title>{title}</title>
<style>
{style}</style>
</head>
<body>
{body}
{programs}</body>
</html>
"""
