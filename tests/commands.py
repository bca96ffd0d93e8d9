"""Commands of the program with something else in their place."""

from __future__ import annotations

import sys
import types

from cli import quiet
from cli.main import COMMANDS


def replace_commands(monkeypatch, run) -> None:
    """Has every command call `run` with its config, without TensorFlow."""
    monkeypatch.setattr(quiet, "start_tensorflow", lambda: None)
    for name in COMMANDS:
        command = types.ModuleType(f"cli.{name}")
        command.run = run
        monkeypatch.setitem(sys.modules, command.__name__, command)
