"""Descriptions, types and defaults of settings in words, for help, and their flags."""

from __future__ import annotations

import ast
import dataclasses
import functools
import inspect
import pathlib
import types
import typing

from darts_tf.configs.base import trait

FLAG_WORDS = {int: "NUMBER", float: "NUMBER", str: "TEXT"}
"""Placeholders of values by type."""

NAMED = {
    "dataset": "DATA",
    **dict.fromkeys(("genotype", "genotypes", "genotype of any kind"), "GENOTYPE"),
    "recurrent genotype": "GENOTYPE",
}
"""Placeholders of values by what they name."""


def descriptions(config_class: type) -> dict[str, str]:
    """Returns the description of every field, the text below it, in one line."""
    found = functools.reduce(
        dict.__or__, map(_own_descriptions, reversed(config_class.__mro__)), {}
    )
    return {name: " ".join(text.split()) for name, text in found.items()}


@functools.cache
def _own_descriptions(cls: type) -> dict[str, str]:
    if not dataclasses.is_dataclass(cls) or "__dataclass_fields__" not in vars(cls):
        return {}
    body = ast.parse(inspect.cleandoc(inspect.getsource(cls)).lstrip()).body[0].body
    return {
        field.target.id: text.value.value
        for field, text in zip(body, body[1:], strict=False)
        if isinstance(field, ast.AnnAssign)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
    }


def base_type(hint):
    """Returns the type of a field's values: without annotations, `None` and tuples around it."""
    origin, choices = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Annotated, tuple):
        return base_type(choices[0])
    if origin in (typing.Union, types.UnionType):
        return base_type(next(choice for choice in choices if choice is not type(None)))
    return hint


def takes_many(hint) -> bool:
    """Returns whether a field holds several values."""
    if typing.get_origin(hint) is typing.Annotated:
        return takes_many(typing.get_args(hint)[0])
    return typing.get_origin(hint) is tuple


def choices_of(hint) -> tuple:
    """Returns the possible values of a field; an empty tuple if they cannot be listed."""
    kind = base_type(hint)
    return typing.get_args(kind) if typing.get_origin(kind) is typing.Literal else ()


def placeholder(hint, description: str, names: str | None = None) -> str:
    """Returns the word that stands for a flag's value in help; an empty one for a switch.

    Args:
        hint: type of the field.
        description: description of the field, whose first word says what a path is.
        names: kind of file or folder that the value names, as in `configs.base.setting`.
    """
    kind = base_type(hint)
    if kind is bool:
        return ""
    if names in NAMED:
        word = NAMED[names]
    elif choices_of(hint):
        word = "NAME" if all(isinstance(choice, str) for choice in choices_of(hint)) else "NUMBER"
    elif isinstance(kind, type) and issubclass(kind, pathlib.Path):
        first = description.partition(" ")[0].lower()
        word = "FOLDER" if first in ("folder", "folders") else "FILE"
    else:
        word = FLAG_WORDS.get(kind, "TEXT")
    return f"{word} ..." if takes_many(hint) else word


def default_in_words(default, description: str) -> str:
    """Returns a sentence on the default of a setting; an empty one if none is needed.

    Args:
        default: the value; `dataclasses.MISSING` for a required setting.
        description: description of the setting, which may name the default itself.
    """
    if default is dataclasses.MISSING:
        return "Required."
    if "by default" in description.lower() or "(default)" in description:
        return ""
    if isinstance(default, bool):
        return "On by default." if default else ""
    if default is None:
        return "Default: none."
    value = written_value(default)
    return f"Default: {value}." if value else ""


def written_value(value) -> str:
    """Writes the value of a setting as users write it on the command line."""
    if isinstance(value, tuple):
        return " ".join(map(written_value, value))
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, float) else str(value)


def flag_of(name: str, negated: bool = False) -> str:
    """Returns the flag of a setting, or the one that turns it off."""
    return f"--{'no-' * negated}{name.replace('_', '-')}"


def flags_with_values(config_class: type) -> dict[str, str]:
    """Returns the flag of every field with a placeholder for its value, as in `--epochs NUMBER`."""
    hints = typing.get_type_hints(config_class, include_extras=True)
    texts, flags = descriptions(config_class), {}
    for field in dataclasses.fields(config_class):
        name = field.name
        names = trait(config_class, name, "names")
        flags[name] = f"{flag_of(name)} {placeholder(hints[name], texts.get(name, ''), names)}"
    return {name: flag.strip() for name, flag in flags.items()}


def flag_words(name: str, value: object) -> list[str]:
    """Returns a setting as words of a command line."""
    if isinstance(value, bool):
        return [flag_of(name, negated=not value)]
    if isinstance(value, list | tuple):
        return [flag_of(name), *map(str, value)]
    word = str(value)
    return [f"{flag_of(name)}={word}"] if word.startswith("-") else [flag_of(name), word]
