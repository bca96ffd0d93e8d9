"""Help of a command: what to type, what it means, and what it is by default."""

from __future__ import annotations

import dataclasses
import shutil
import textwrap
import typing
from collections.abc import Iterator

import tyro

from darts_tf.configs import base
from darts_tf.configs.descriptions import (
    base_type,
    choices_of,
    default_in_words,
    descriptions,
    flags_with_values,
)

FLAGS = {"-h": False, "--help": False, "--help-all": True}
"""Flags that ask for help, and whether for that of all settings."""

SHORT = 16
"""Number of flags up to which `--help` lists all of them."""

_WIDEST = 100
_COLUMN = 25  # at which the descriptions begin
_OTHERS = "options"


@dataclasses.dataclass(frozen=True)
class Entry:
    """A flag in the help of a command.

    Attributes:
        names: the flag and its placeholder, as in `--epochs NUMBER`.
        text: description, choices and default, in one line.
        group: heading that it belongs below.
        common: whether it is among the most used flags.
    """

    names: str
    text: str
    group: str
    common: bool


def wants_help(argv) -> bool:
    """Returns whether a command line asks for help."""
    return bool(FLAGS.keys() & set(argv))


def wants_all(argv) -> bool:
    """Returns whether a command line asks for the help of all settings."""
    return any(FLAGS.get(word, False) for word in argv)


def command_help(config_class: type, defaults, prog: str, common: type, every: bool) -> str:
    """Returns the help of a command.

    Args:
        config_class: class of the command's settings.
        defaults: object with the default values as attributes, such as those of a preset;
            `tyro.MISSING` for required settings.
        prog: name of the program and the command.
        common: class of the options beside the settings.
        every: whether to list all flags, not only the common ones.
    """
    entries = [*_entries(config_class, defaults), *_entries(common, common())]
    own = len(dataclasses.fields(config_class))
    shown = [entry for entry in entries if every or entry.common]
    if own <= SHORT and not every:
        shown = [*entries[:own], *(entry for entry in entries[own:] if entry.common)]
    parts = [
        _usage(config_class, defaults, prog),
        _filled(_summary(config_class)),
        *_sections(shown),
        _filled(_hints(entries, shown, config_class, prog)),
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def _entries(config_class: type, defaults) -> Iterator[Entry]:
    hints = typing.get_type_hints(config_class, include_extras=True)
    texts, named = descriptions(config_class), flags_with_values(config_class)
    for field in dataclasses.fields(config_class):
        hint, text = hints[field.name], texts.get(field.name, "")
        value = getattr(defaults, field.name, tyro.MISSING)
        value = dataclasses.MISSING if value is tyro.MISSING else value
        names = named[field.name]
        place = base.trait(config_class, field.name, "place")
        choices = tuple(map(str, choices_of(hint)))
        unnamed = not all(choice in text for choice in choices)
        parts = [
            text,
            f"One of: {', '.join(choices)}." if choices and unnamed else "",
            default_in_words(value, text),
        ]
        yield Entry(
            f"{place}  or  {names}" if place else names,
            " ".join(filter(None, parts)),
            base.trait(config_class, field.name, "group") or _OTHERS,
            bool(base.trait(config_class, field.name, "common")) or value is dataclasses.MISSING,
        )


def _usage(config_class: type, defaults, prog: str) -> str:
    words, named = [], flags_with_values(config_class)
    for field in dataclasses.fields(config_class):
        place = base.trait(config_class, field.name, "place")
        if place:
            words.insert(0, place)
        elif getattr(defaults, field.name) is tyro.MISSING:
            words.append(named[field.name])
    start = f"usage: {prog} "
    return textwrap.fill(
        f"{start}{' '.join([*words, '[FLAGS]'])}",
        _width(),
        subsequent_indent=" " * len(start),
        break_on_hyphens=False,
    )


def _summary(config_class: type) -> str:
    return " ".join((config_class.__doc__ or "").split())


def _sections(entries: list[Entry]) -> list[str]:
    sections = []
    for group in (_OTHERS, *base.GROUPS):
        rows = [_row(f"  {e.names}", e.text, _COLUMN) for e in entries if e.group == group]
        if rows:
            sections.append("\n".join([f"{group}:", *rows]))
    return sections


def _hints(entries: list[Entry], shown: list[Entry], config_class: type, prog: str) -> str:
    hints = []
    hidden = len(entries) - len(shown)
    if hidden:
        hints.append(f"{prog} --help-all shows {hidden} more flags.")
    types = typing.get_type_hints(config_class).values()
    if any(base_type(hint) is bool for hint in types):
        hints.append("Switches are turned off by --no- before their name.")
    if getattr(config_class, "presets", None):
        hints.append("With --preset NAME, --help shows the defaults of that preset.")
    return " ".join(hints)


def _width() -> int:
    return min(shutil.get_terminal_size().columns, _WIDEST)


def _filled(text: str) -> str:
    return textwrap.fill(text, _width(), break_on_hyphens=False)


def _row(names: str, text: str, column: int) -> str:
    """Returns a row of two columns; a long left part has a line of its own."""
    width = max(_width(), column + 20)
    right = textwrap.wrap(text, width - column, break_on_hyphens=False, break_long_words=True)
    fits = len(names) <= column - 2
    first = [names.ljust(column) + right.pop(0)] if fits and right else [names.rstrip()]
    return "\n".join([*first, *(" " * column + line for line in right)])
