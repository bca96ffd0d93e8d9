"""Helpers for tests of commands: images, replaced commands, and error lines."""

from __future__ import annotations

import pathlib
import sys
import types

import numpy as np
from PIL import Image

from darts_tf.cli import lookup, startup
from darts_tf.cli.main import COMMANDS, main

COLOURS = {"blue": (30, 30, 220), "green": (30, 200, 30), "red": (220, 30, 30)}


def replace_commands(monkeypatch, run) -> None:
    """Makes every command call `run` with its config, without TensorFlow or a look at its files."""
    monkeypatch.setattr(lookup, "checked", lambda config: config)
    monkeypatch.setattr(startup, "start_tensorflow", lambda *given: None)
    for name in COMMANDS:
        command = types.ModuleType(f"darts_tf.cli.commands.{name}")
        command.run = run
        monkeypatch.setitem(sys.modules, command.__name__, command)


def write_images(folder: pathlib.Path, counts: dict[str, int], size: int = 9):
    """Writes noisy squares whose class is their color."""
    random = np.random.default_rng(0)
    for split, count in counts.items():
        for name, colour in COLOURS.items():
            (folder / split / name).mkdir(parents=True)
            for i in range(count):
                pixels = np.clip(random.normal(colour, 40, (size, size, 3)), 0, 255)
                image = Image.fromarray(pixels.astype(np.uint8))
                image.save(folder / split / name / f"{i}.png")
    return folder


def one_line_of_wrong_use(capture, arguments):
    """Runs an invalid command line; returns its only line of error.

    `capture` is `capfd`, which also captures TensorFlow's own output.
    """
    capture.readouterr()
    assert main([str(argument) for argument in arguments]) == 2
    captured = capture.readouterr()
    (line,) = captured.err.splitlines()
    assert line.startswith("darts-tf: error: ")
    return line
