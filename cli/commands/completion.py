"""`darts-tf completion`: a script that completes commands, flags and choices in a shell."""

from __future__ import annotations

import dataclasses
import typing

import tyro

from darts_tf import configs
from darts_tf.cli import main
from darts_tf.configs import CompletionConfig


def run(config: CompletionConfig) -> int:
    """Prints the shell's script, e.g. for `source <(darts-tf completion bash)`, and exits."""
    commands = {name: _options(name) for name in main.COMMANDS}
    args = ["--tyro-print-completion", config.shell]
    return tyro.extras.subcommand_cli_from_dict(commands, args=args, prog="darts-tf")


def _options(name: str) -> type:
    """Returns a class with all options of a command, including those only for texts.

    The options have no help, since in bash words of a multi-line help would be completed too.
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
