"""The options that every command has, beside those of its config."""

from __future__ import annotations

import dataclasses
import json
import pathlib

import tyro

from darts_tf.errors import InputError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Common:
    """What goes with every command, and is no setting of what it does."""

    config: pathlib.Path | None = None
    """Take settings from this JSON file, as --print-config writes it or a run's config.json; flags
    go before it, and it goes before the preset."""
    print_config: bool = False
    """Show all settings as JSON, and do nothing else."""
    plugin: tyro.conf.UseAppendAction[tuple[pathlib.Path, ...]] = ()
    """Run this script of yours first, which registers operations, spaces, datasets."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class CommonOfJobs(Common):
    """The same for commands that take long."""

    quiet: bool = False
    """Show nothing but the result, warnings and errors."""
    json: bool = False
    """Write a JSON object a line, for programs and logs, in place of what people read."""

    def __post_init__(self):
        if self.quiet and self.json:
            raise InputError("Expected one of --quiet and --json. Received: both")

    @property
    def mode(self) -> str:
        """How the command's output looks, as `output.set_mode` takes it."""
        return "json" if self.json else "quiet" if self.quiet else "normal"


def with_options(config_class: type, common: type[Common]) -> type:
    """A config's class with the common options among its fields, for help and completion."""
    made = dataclasses.make_dataclass(
        config_class.__name__, [], bases=(common, config_class), frozen=True, kw_only=True
    )
    made.__doc__ = config_class.__doc__
    return made


def as_json(config) -> str:
    """All settings of a command, as `--config` takes them."""
    return json.dumps(config.to_dict(), indent=2)
