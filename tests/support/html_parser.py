"""Parsing of HTML pages."""

from __future__ import annotations

import html.parser

VOID, UNREAD = ("meta", "input", "img", "br"), ("style", "script")


class Page(html.parser.HTMLParser):
    """Elements, attributes and text of a page; fails if an element is not closed."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.attributes, self.cells = [], [], [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in UNREAD and data.strip():
            self.cells.append(data)
