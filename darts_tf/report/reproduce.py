"""The command that repeats a run, and the settings in which it differs from its preset."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Mapping

from darts_tf.configs import RunConfig, preset_fields
from darts_tf.configs.descriptions import flag_words

_FIRST, _NEVER = ("dataset", "preset"), ("workdir", "overwrite", "resume")


def defaults_of(config) -> dict[str, object]:
    """Returns the settings that a command has with only preset and method, without required ones.

    Args:
        config: settings of one of `configs.KINDS`.
    """
    defaults = {
        field.name: field.default
        for field in dataclasses.fields(config)
        if field.default is not dataclasses.MISSING
    }
    if not has_preset(config):
        return defaults
    fields = preset_fields(type(config), config.preset, getattr(config, "method", None))
    fields.pop("method", None)  # a command states it
    return defaults | fields


def differing(config) -> dict[str, object]:
    """Returns the settings that a command line must state to repeat these, without `workdir`."""
    defaults = defaults_of(config)
    names = [field.name for field in dataclasses.fields(config) if field.name not in _NEVER]
    return {
        name: getattr(config, name)
        for name in (*_FIRST, *(name for name in names if name not in _FIRST))
        if name in names and (name in _always_stated(config) or _differs(config, name, defaults))
    }


def has_preset(config) -> bool:
    """Returns True if settings start from a preset's; those of `tune` and `select` do not."""
    return isinstance(config, RunConfig)


def _always_stated(config) -> tuple[str, ...]:
    """Returns the settings that are stated even at their default: the dataset and the preset."""
    return tuple(name for name in _FIRST if getattr(config, name, None) is not None)


def _differs(config, name: str, defaults: Mapping[str, object]) -> bool:
    plain = config.to_dict()[name]
    default = defaults.get(name, dataclasses.MISSING)
    return plain != (list(default) if isinstance(default, tuple) else default)


def words_of(config) -> list[str]:
    """Returns the arguments of the command that repeats a run with these settings.

    Args:
        config: settings of one of `configs.KINDS`.
    """
    words = ["darts-tf", config.command]
    for name, value in {**differing(config), "workdir": config.workdir}.items():
        words += flag_words(name, value)
    return words


def command_of(config) -> str:
    """Returns the command that repeats a run as a quoted shell line."""
    return shlex.join(words_of(config))
