"""The log of a run, as it is read again: for reports. No TensorFlow."""

from __future__ import annotations

import contextlib
import dataclasses
import pathlib
import platform
import re
from collections.abc import Iterator
from importlib import metadata

from darts_tf.errors import SHOWN, InputError, first_line, shortened
from darts_tf.runs import files

PACKAGES = ("darts-tf", "tensorflow", "keras", "numpy")
"""Those that decide what a run computes."""

VERSIONS = "versions: "
"""Begins the line of a log that tells these."""

WARNINGS, WARNING_LENGTH = 50, 400
"""The last so many warnings of a log are told, with so many characters each."""

_LINE = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d),\d+ ([A-Z]+) (.*)")
_CHOSEN = re.compile(
    r"((?:normal|reduce) (?:edge \d+ to \d+|node \d+)): (.{1,60}?) \(accuracy without (.*)\)"
)


@dataclasses.dataclass(frozen=True)
class Log:
    """What a run has logged.

    Attributes:
        begun: date and time of its first line; empty where there is none.
        ended: of its last line.
        warnings: with their times.
        versions: of packages, where they changed from one resumption to the next, all of them.
        chosen: of a selection by perturbation: place, choice, and the accuracies without others.
    """

    begun: str = ""
    ended: str = ""
    warnings: tuple[str, ...] = ()
    versions: tuple[str, ...] = ()
    chosen: tuple[tuple[str, str, str], ...] = ()


def versions() -> str:
    """Of Python and of `PACKAGES`, as a line of the log tells them."""
    found = [f"python {platform.python_version()}"]
    for package in PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found.append(f"{package} {metadata.version(package)}")
    return VERSIONS + ", ".join(found)


@contextlib.contextmanager
def reading(path: pathlib.Path) -> Iterator[None]:
    """Within this block, what a file has not as it should is an error of input.

    Raises:
        InputError: with the file's path.
    """
    try:
        yield
    except InputError as error:
        raise error if str(path) in str(error) else InputError(f"{path}: {error}") from error
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError) as error:
        reason = shortened(f"{type(error).__name__} {first_line(error)}", SHOWN)
        raise InputError(
            f"{path}: Expected what darts-tf writes there. Received: something else ({reason})"
        ) from error
    except OSError as error:
        raise InputError(f"Expected a file that can be read. Received: {path} ({error})") from error


def log_of(folder: pathlib.Path) -> Log:
    """What a run has logged; what is no line of a log is left out.

    Args:
        folder: of the run.

    Raises:
        InputError: the file cannot be read.
    """
    path = folder / files.LOG
    with reading(path):
        text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    lines = [match.groups() for match in map(_LINE.fullmatch, text.split("\n")) if match]
    if not lines:
        return Log()
    warnings = tuple(
        f"{time}: {shortened(message, WARNING_LENGTH)}"
        for time, level, message in lines
        if level in ("WARNING", "ERROR", "CRITICAL")
    )
    told = [m.removeprefix(VERSIONS) for _, _, m in lines if m.startswith(VERSIONS)]
    # what is chosen again after a crash counts as it was chosen last
    chosen = {m[1]: m.groups() for m in (_CHOSEN.fullmatch(line[2]) for line in lines) if m}
    return Log(
        begun=lines[0][0],
        ended=lines[-1][0],
        warnings=warnings[-WARNINGS:],
        versions=tuple(dict.fromkeys(told)),
        chosen=tuple(chosen.values()),
    )
