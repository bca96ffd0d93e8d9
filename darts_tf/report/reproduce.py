"""The command that repeats a run, and the settings in which it differs from its preset."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Mapping

from darts_tf.configs import RunConfig, preset_fields

_FIRST, _NEVER = ("dataset", "preset"), ("workdir", "overwrite", "resume")


def defaults_of(config) -> dict[str, object]:
    """What a command's settings are where none but the preset is given; required ones are left out.

    Args:
        config: settings of one of `configs.KINDS`.
    """
    found = {
        field.name: field.default
        for field in dataclasses.fields(config)
        if field.default is not dataclasses.MISSING
    }
    return found | (preset_fields(type(config), config.preset) if has_preset(config) else {})


def differing(config) -> dict[str, object]:
    """The settings that a command has to be given for these, `workdir` left out."""
    defaults = defaults_of(config)
    names = [field.name for field in dataclasses.fields(config) if field.name not in _NEVER]
    return {
        name: getattr(config, name)
        for name in (*_FIRST, *(name for name in names if name not in _FIRST))
        if name in names and (name in _asked(config) or _differs(config, name, defaults))
    }


def has_preset(config) -> bool:
    """Whether settings start from those of a preset; those of `tune` and `select` do not."""
    return isinstance(config, RunConfig)


def _asked(config) -> tuple[str, ...]:
    """What is told whatever the defaults are: they say what kind of run it is."""
    own = (name for name in _FIRST if getattr(config, name, None) is not None)
    return tuple(own)


def _differs(config, name: str, defaults: Mapping[str, object]) -> bool:
    plain = config.to_dict()[name]
    default = defaults.get(name, dataclasses.MISSING)
    return plain != (list(default) if isinstance(default, tuple) else default)


def words_of(config) -> list[str]:
    """The words of the command that makes a run with these settings.

    Args:
        config: settings of one of `configs.KINDS`.
    """
    words = ["darts-tf", config.command]
    for name, value in {**differing(config), "workdir": config.workdir}.items():
        words += _flag(name, value)
    return words


def command_of(config) -> str:
    """The same as a line for a shell."""
    return shlex.join(words_of(config))


def _flag(name: str, value) -> list[str]:
    flag = "--" + name.replace("_", "-")
    if isinstance(value, bool):
        return [flag if value else "--no-" + name.replace("_", "-")]
    if isinstance(value, tuple | list):
        return [flag, *map(str, value)]
    word = str(value)
    return [f"{flag}={word}"] if word.startswith("-") else [flag, word]
