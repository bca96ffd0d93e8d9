"""Pieces of the pages that people read: escaped text, tables, and one look for all of them."""

from __future__ import annotations

import functools
import html
import pathlib
from collections.abc import Iterable, Sequence

_STATIC = pathlib.Path(__file__).parent / "static"


def text(value: object) -> str:
    """A value as HTML shows it."""
    return html.escape(str(value))


def table(header: Sequence[object], rows: Iterable[Sequence[object]]) -> str:
    """A table; where a screen is narrow, its rows become lists: every cell knows its column.

    Args:
        header: of the columns.
        rows: of as many values each.
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
    """Names with what is known of them."""
    return "<dl>" + "".join(f"<dt>{text(n)}</dt><dd>{text(v)}</dd>" for n, v in pairs) + "</dl>"


def details(summary: object, body: str, opened: bool = False) -> str:
    """What is shown when its summary is tapped."""
    state = " open" if opened else ""
    return f"<details{state}><summary>{text(summary)}</summary>{body}</details>"


def page(
    title: str,
    body: str,
    maker: str = "darts-tf export",
    styles: Sequence[str] = (),
    scripts: Sequence[str] = (),
) -> str:
    """A whole page that needs nothing else.

    Args:
        title: of the page, plain text.
        body: HTML.
        maker: the command that makes such pages.
        styles: names of further style sheets among the package's own.
        scripts: names of programs among them.
    """
    style = "\n".join(map(static, ("page.css", *styles)))
    programs = "".join(f"<script>\n{static(name)}</script>\n" for name in scripts)
    parts = {"title": text(title), "style": style, "body": body, "programs": programs}
    return _PAGE.format(made_by=made_by(maker), **parts)


def made_by(maker: str) -> str:
    """The element of a page that tells which command has made it."""
    return f'<meta name="generator" content="{html.escape(maker)}">'


@functools.cache
def static(name: str) -> str:
    """A style sheet or program of the package, by its file's name."""
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
