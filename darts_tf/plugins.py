"""Plugins: scripts of users that register extensions. Each runs once, in the given order.

Names are registered immediately, so that settings can be parsed. Checks that need TensorFlow are
postponed until it has been started.
"""

from __future__ import annotations

import os
import pathlib
import sys
import traceback
import types
from collections.abc import Callable

from darts_tf import registry
from darts_tf.errors import InputError, in_one_line

MODULE = "darts_tf_plugin_"
"""Prefix of the name of a script's module, followed by the file name. It is constant, so that Keras
finds registered classes again when it loads a model."""

_loaded: dict[pathlib.Path, types.ModuleType] = {}
_running: list[pathlib.Path] = []
_unchecked: list[tuple[str, str, str, Callable[[], None]]] = []  # place, kind, name, check


def load_plugin(path: str | os.PathLike[str]) -> tuple[str, ...]:
    """Runs a script that registers extensions; a second call with it does nothing.

    The script is arbitrary Python code: load only scripts that you trust. Its folder is appended to
    `sys.path`, so that it can import modules beside it.

    Args:
        path: path of the script.

    Returns:
        The kinds and names that it has registered, as in "primitive ghost_conv".

    Raises:
        InputError: the file does not exist, another script with this file name has been loaded, or
            the script fails; the message has the line. Its registrations are then undone.
    """
    file = pathlib.Path(path).expanduser().resolve()
    if file in _loaded:
        return ()
    source, name = _source(file, path), MODULE + file.stem
    if name in sys.modules:
        raise InputError(f"Expected plugins with different file names. Received: two {file.name}")
    before, module = _registered(), types.ModuleType(name)
    module.__file__ = str(file)
    sys.modules[name] = module
    if str(file.parent) not in sys.path:
        sys.path.append(str(file.parent))
    _running.append(file)
    try:
        exec(compile(source, str(file), "exec", dont_inherit=True), module.__dict__)
    except BaseException as error:
        _take_back(before, name)
        if isinstance(error, Exception | SystemExit):
            raise InputError(_error_message(path, file, error)) from error
        raise
    finally:
        _running.pop()
    _loaded[file] = module
    return tuple(f"{kind} {each}" for kind, each in _registered() if (kind, each) not in before)


def loaded() -> tuple[pathlib.Path, ...]:
    """Returns the loaded scripts in order, so that other processes can load the same."""
    return tuple(_loaded)


def postponed(kind: str, name: str, check: Callable[[], None]) -> bool:
    """Postpones a check if a script is running; returns whether it did.

    If no script is running, the caller has to run the check itself.
    """
    if not _running:
        return False
    line = _line(traceback.extract_stack(), _running[-1])
    _unchecked.append((f"{_running[-1].name}{line}", kind, name, check))
    return True


def waiting() -> bool:
    """Returns whether there are postponed checks."""
    return bool(_unchecked)


def check_plugins() -> None:
    """Runs the postponed checks of what scripts have registered.

    The checks run TensorFlow operations. Settings that TensorFlow accepts only before its first
    operation, such as devices or workers, must have been made.

    Raises:
        InputError: a check fails; the message has the line that registers the extension.
    """
    while _unchecked:
        place, kind, name, check = _unchecked.pop(0)
        try:
            check()
        except InputError as error:
            registry.KINDS[kind].pop(name, None)
            raise InputError(f"{place}: {error}") from error


def _source(file: pathlib.Path, path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise InputError(
            f"Expected plugin to be a Python script. Received: {str(path)!r} ({error.strerror})"
        ) from error


def _registered() -> list[tuple[str, str]]:
    return [(kind, name) for kind, names in registry.KINDS.items() for name in names]


def _take_back(before: list[tuple[str, str]], module: str) -> None:
    for kind, name in set(_registered()) - set(before):
        del registry.KINDS[kind][name]
    _unchecked[:] = [each for each in _unchecked if each[1:3] in before]
    del sys.modules[module]


def _error_message(path, file: pathlib.Path, error: BaseException) -> str:
    line = _line(traceback.extract_tb(error.__traceback__), file)
    if isinstance(error, SyntaxError) and error.filename == str(file):
        line = f", line {error.lineno}"
    if isinstance(error, InputError):
        return f"{path}{line}: {error}"
    return f"{path}{line}: Expected a script that runs to its end. Received: {in_one_line(error)}"


def _line(frames: traceback.StackSummary, file: pathlib.Path) -> str:
    """Returns ", line N" for the innermost frame in the script; "" if there is none."""
    lines = [frame.lineno for frame in frames if frame.filename == str(file)]
    return f", line {lines[-1]}" if lines else ""
