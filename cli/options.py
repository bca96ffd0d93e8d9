"""Options that every command has beside those of its config."""

from __future__ import annotations

import dataclasses
import json
import pathlib

import tyro

from darts_tf.configs.base import setting
from darts_tf.errors import InputError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Common:
    """Options of every command."""

    group = "files of settings"

    config: pathlib.Path | None = setting(None, names="file")
    """File of settings in JSON, such as the output of --print-config or a run's config.json. Flags
    override the file; the file overrides the preset."""
    print_config: bool = False
    """Print all settings as JSON and exit."""
    plugin: tyro.conf.UseAppendAction[tuple[pathlib.Path, ...]] = ()
    """File with Python code of yours to run first, which registers operations, spaces, datasets."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class CommonOfJobs(Common):
    """Options of every long-running command."""

    group = "logging"

    quiet: bool = setting(False, common=True)
    """Print only the result, warnings and errors."""
    json: bool = setting(False)
    """Print one JSON object per line, for programs and logs, instead of text."""

    def __post_init__(self):
        if self.quiet and self.json:
            raise InputError("Expected one of --quiet and --json. Received: both")

    @property
    def mode(self) -> str:
        """Mode of output, for `output.set_mode`."""
        return "json" if self.json else "quiet" if self.quiet else "normal"


def as_json(config) -> str:
    """Returns all settings of a command as JSON, the form that `--config` reads."""
    return json.dumps(config.to_dict(), indent=2)
