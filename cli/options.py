"""Options that every command has beside those of its config."""

from __future__ import annotations

import dataclasses
import json
import pathlib

import tyro

from darts_tf.errors import InputError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Common:
    """Options of every command."""

    config: pathlib.Path | None = None
    """Read settings from this JSON file, such as the output of --print-config or a run's
    config.json. Flags override the file; the file overrides the preset."""
    print_config: bool = False
    """Print all settings as JSON and exit."""
    plugin: tyro.conf.UseAppendAction[tuple[pathlib.Path, ...]] = ()
    """Run this script of yours first, which registers operations, spaces, datasets."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class CommonOfJobs(Common):
    """Options of every long-running command."""

    quiet: bool = False
    """Print only the result, warnings and errors."""
    json: bool = False
    """Print one JSON object per line, for programs and logs, instead of text."""

    def __post_init__(self):
        if self.quiet and self.json:
            raise InputError("Expected one of --quiet and --json. Received: both")

    @property
    def mode(self) -> str:
        """Mode of output, for `output.set_mode`."""
        return "json" if self.json else "quiet" if self.quiet else "normal"


def with_options(config_class: type, common: type[Common]) -> type:
    """Returns a config's class with the common options as fields, for help and completion."""
    combined = dataclasses.make_dataclass(
        config_class.__name__, [], bases=(common, config_class), frozen=True, kw_only=True
    )
    combined.__doc__ = config_class.__doc__
    return combined


def as_json(config) -> str:
    """Returns all settings of a command as JSON, the form that `--config` reads."""
    return json.dumps(config.to_dict(), indent=2)
