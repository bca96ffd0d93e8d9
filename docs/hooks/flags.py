"""The page `commands.md`: every command with its flags, generated from their configs."""

from __future__ import annotations

import dataclasses
import pathlib
import typing

from mkdocs.structure.files import File

from darts_tf import configs
from darts_tf.cli.main import COMMANDS, GROUPS
from darts_tf.configs import base
from darts_tf.configs.base import trait
from darts_tf.configs.descriptions import descriptions

_INTRODUCTION = """# The commands

In a terminal `darts-tf COMMAND --help` shows the most used flags and `--help-all` all of them, in
the groups of this page. With a preset it shows the preset's defaults:
`darts-tf train --preset cifar10 --help`. Flags without a default are required. A flag that is on or
off is switched off by `--no-` before its name.
"""


def on_files(files, config):
    """Adds the page."""
    files.append(File.generated(config, "commands.md", content=page()))
    return files


def page() -> str:
    """Returns the page: a section per command, and one more for other settings on text."""
    parts = [_INTRODUCTION, _overview()]
    for command, (name, purpose) in COMMANDS.items():
        config = getattr(configs, name)
        parts.append(_section(f"darts-tf {command}", purpose, config))
        if on_text := configs.ON_TEXT.get(config):
            parts.append(_section(f"darts-tf {command} on text", purpose, on_text))
    return "\n".join(parts)


def _overview() -> str:
    """Returns a table of all commands, in the groups of `darts-tf --help`."""
    rows = ["| to | command | |", "|---|---|---|"]
    for group, commands in GROUPS.items():
        for number, (command, (_, purpose)) in enumerate(commands.items()):
            heading = "" if number else f"**{group}**"
            rows.append(f"| {heading} | [`{command}`](#darts-tf-{command}) | {purpose} |")
    return "\n".join(rows) + "\n"


def _section(title: str, purpose: str, config) -> str:
    parts = [f"## {title} {{ #{title.replace(' ', '-')} }}", f"{_sentence(purpose)}"]
    groups = [trait(config, field.name, "group") for field in dataclasses.fields(config)]
    for group in (None, *base.GROUPS):
        fields = [
            field
            for field, of in zip(dataclasses.fields(config), groups, strict=True)
            if of == group
        ]
        if fields and set(groups) != {None}:
            parts.append(f"**{_sentence(group or 'options').rstrip('.')}**")
        parts += [_entry(config, field) for field in fields]
    if presets := getattr(config, "presets", None):
        parts += ["**What the presets change**", _presets(presets)]
    return "\n\n".join(parts) + "\n"


def _entry(config, field: dataclasses.Field) -> str:
    hint = typing.get_type_hints(config, include_extras=True)[field.name]
    facts = [kind(hint)]
    if must_be := field.metadata.get("must_be"):
        facts.append(must_be)
    required = field.default is dataclasses.MISSING
    facts.append("required" if required else f"default {_value(field.default)}")
    if place := trait(config, field.name, "place"):
        facts.append(f"or {place} without the flag")
    # the descriptions use backticks as Markdown does
    text = descriptions(config).get(field.name, "")
    flag = f"--{field.name.replace('_', '-')}"
    return f"`{flag}` · {' · '.join(filter(None, facts))}\n:   {_escaped(text)}"


def kind(hint) -> str:
    """Returns the type of a flag's value in words, or its choices."""
    origin, choices = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        return " or ".join(f"`{choice}`" for choice in choices)
    if origin in (typing.Annotated, tuple):
        inner = kind(choices[0])
        return inner if origin is typing.Annotated else f"one or more of: {inner}"
    if choices:
        return " or ".join(kind(choice) for choice in choices if choice is not type(None))
    words = {int: "whole number", float: "number", bool: "on or off", str: "text"}
    return words.get(hint, "path" if issubclass(hint, pathlib.Path) else hint.__name__)


def _presets(presets) -> str:
    rows = [
        f"| `{name}` | {', '.join(f'`{k}={_plain(v)}`' for k, v in fields.items()) or 'nothing'} |"
        for name, fields in presets.items()
    ]
    return "\n".join(["| preset | settings |", "|---|---|", *rows])


def _value(value) -> str:
    if value is None:
        return "none"
    return f"`{_plain(value)}`" if _plain(value) else "nothing"


def _plain(value) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _escaped(text: str) -> str:
    return text.replace("<", "&lt;").replace("*", "\\*")
