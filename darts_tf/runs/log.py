"""Parser of a run's log, for reports. No TensorFlow."""

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
"""Packages whose versions affect what a run computes."""

VERSIONS = "versions: "
"""Prefix of the log message that lists the versions of `PACKAGES`."""

WARNINGS, WARNING_LENGTH = 50, 400
"""Maximum number of warnings to report, the last ones, and of characters of each."""

_LINE = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d),\d+ ([A-Z]+) (.*)")
_CHOSEN = re.compile(
    r"((?:normal|reduce) (?:edge \d+ to \d+|node \d+)): (.{1,60}?) \(accuracy without (.*)\)"
)


@dataclasses.dataclass(frozen=True)
class Log:
    """Contents of a run's log.

    Attributes:
        begun: date and time of the first line; empty for an empty log.
        ended: date and time of the last line.
        warnings: last warnings and errors, each with its time.
        versions: distinct messages of package versions; more than one if they changed between
            resumptions.
        chosen: choices of a selection by perturbation, each the edge or node, the choice, and the
            accuracies without the alternatives.
    """

    begun: str = ""
    ended: str = ""
    warnings: tuple[str, ...] = ()
    versions: tuple[str, ...] = ()
    chosen: tuple[tuple[str, str, str], ...] = ()


def versions() -> str:
    """Returns the log message with the versions of Python and of `PACKAGES`."""
    installed = [f"python {platform.python_version()}"]
    for package in PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            installed.append(f"{package} {metadata.version(package)}")
    return VERSIONS + ", ".join(installed)


@contextlib.contextmanager
def reading(path: pathlib.Path) -> Iterator[None]:
    """Context manager: turns errors of reading a malformed file into an `InputError`.

    Raises:
        InputError: the file is malformed or cannot be read; the message has its path.
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
    """Parses the log of a run; lines of another form are ignored.

    Args:
        folder: folder of the run.

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
    logged_versions = [m.removeprefix(VERSIONS) for _, _, m in lines if m.startswith(VERSIONS)]
    # if a choice is repeated after a crash, the last one counts
    chosen = {m[1]: m.groups() for m in (_CHOSEN.fullmatch(line[2]) for line in lines) if m}
    return Log(
        begun=lines[0][0],
        ended=lines[-1][0],
        warnings=warnings[-WARNINGS:],
        versions=tuple(dict.fromkeys(logged_versions)),
        chosen=tuple(chosen.values()),
    )
