"""`darts-tf completion`: commands, flags and choices for the Tab key of a shell."""

from __future__ import annotations

import dataclasses
import typing

import tyro
from darts_tf.cli import main

from darts_tf import configs
from darts_tf.configs import CompletionConfig


def run(config: CompletionConfig) -> int:
    """Prints the shell's script, as for `source <(darts-tf completion bash)`, and exits."""
    known = {name: _options(name) for name in main.COMMANDS}
    asked = ["--tyro-print-completion", config.shell]
    return tyro.extras.subcommand_cli_from_dict(known, args=asked, prog="darts-tf")


def _options(name: str) -> type:
    """All options of a command, also those that it has for texts alone.

    Without their help: in bash, words of a help of several lines would be completed as well.
    """
    config_class = getattr(configs, main.COMMANDS[name][0])
    both = (configs.ON_TEXT.get(config_class, config_class), config_class)
    fields = {}
    for each in (main.common_of(name), *both):
        hints = typing.get_type_hints(each, include_extras=True)
        for field in dataclasses.fields(each):
            default = dataclasses.field(default=field.default)
            fields[field.name] = (field.name, hints[field.name], default)
    return dataclasses.make_dataclass(name, fields.values(), kw_only=True)
