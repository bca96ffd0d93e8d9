"""Scripts of users that register what they add: each is run once, in the order that they are given.

What a script registers is told apart from what it is: names are known at once, so that settings can
be read, and what takes TensorFlow to check is checked when that has been started.
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
"""What the module of a script is called, before the name of its file: always the same, so that
classes which Keras is to find again are found."""

_loaded: dict[pathlib.Path, types.ModuleType] = {}
_running: list[pathlib.Path] = []
_unchecked: list[tuple[str, str, str, Callable[[], None]]] = []  # place, kind, name, check


def load_plugin(path: str | os.PathLike[str]) -> tuple[str, ...]:
    """Runs a script that registers things; a second time nothing happens.

    It is Python, and does whatever it says: load scripts of people that you trust. Its folder is
    added to the end of `sys.path`, so that it may import its neighbours.

    Args:
        path: of the script.

    Returns:
        What it has registered, as in "primitive ghost_conv".

    Raises:
        InputError: no such file, another script of that name has been loaded, or it fails: with
            the line of the script. What it has registered until then is taken back.
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
    """The scripts that have been loaded, in that order: other processes need the same."""
    return tuple(_loaded)


def postponed(kind: str, name: str, check: Callable[[], None]) -> bool:
    """Keeps a check for later where a script is being run; else it is for whoever registers."""
    if not _running:
        return False
    line = _line(traceback.extract_stack(), _running[-1])
    _unchecked.append((f"{_running[-1].name}{line}", kind, name, check))
    return True


def waiting() -> bool:
    """Whether something that a script has registered has not been checked yet."""
    return bool(_unchecked)


def check_plugins() -> None:
    """Checks what the scripts have registered, once TensorFlow has been started.

    The checks run operations: what can only be asked of TensorFlow before it runs, such as several
    devices or workers, must have been.

    Raises:
        InputError: something is not as it must be, with the line that registers it.
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
    """The last of these lines that is in the script."""
    lines = [frame.lineno for frame in frames if frame.filename == str(file)]
    return f", line {lines[-1]}" if lines else ""
