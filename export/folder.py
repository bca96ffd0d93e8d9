"""The folder of an export: its files' names, when it may be written, and how it is replaced."""

from __future__ import annotations

import contextlib
import hashlib
import pathlib
from collections.abc import Iterator, Sequence

from darts_tf import files, runs
from darts_tf.errors import InputError

REPORT = "export_report.json"
LABELS = "labels.txt"
"""The classes' names, one a line, in the order of the logits."""
PREPROCESSING = "preprocessing.json"
GENOTYPE = "genotype.json"
EXTRA = "assets.extra"
"""Inside a SavedModel, where its format leaves room for files of other programs."""


def check_output(output: pathlib.Path, overwrite: bool) -> None:
    """Checks that the output is new or empty, or, to overwrite, an earlier export.

    Raises:
        InputError: it is something else. No file that an export did not write is ever deleted.
    """
    blocked = [path for path in (output, *output.parents) if path.is_file()]
    if blocked:
        raise InputError(
            f"Expected output to be a folder. Received: output={str(output)!r}, but "
            f"{str(blocked[0])!r} is a file"
        )
    if not output.is_dir() or not any(output.iterdir()):
        return
    if not overwrite:
        raise InputError(
            "Expected output to be a new or empty folder (or --overwrite for an earlier export). "
            f"Received: output={str(output)!r}, which is not empty"
        )
    _check_export(output)


def _check_export(output: pathlib.Path) -> None:
    try:
        known = {REPORT, *runs.read_json(output / REPORT)["files"]}
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"Expected output to hold an export to overwrite, with its {REPORT}. "
            f"Received: output={str(output)!r}"
        ) from error
    foreign = [name for name in _files(output) if name not in known]
    if foreign:
        raise InputError(
            "Expected output to hold nothing but the export to overwrite. "
            f"Received: output={str(output)!r} with {', '.join(foreign[:5])}"
        )


@contextlib.contextmanager
def replacing(output: pathlib.Path) -> Iterator[pathlib.Path]:
    """Yields a new folder beside `output`, and renames it to `output` when the block succeeds.

    If the block raises, the new folder goes and what was at `output` stays.
    """
    with files.replacing(output) as written:
        written.mkdir()
        yield written
        if output.is_dir() and any(output.iterdir()):
            output.rename(written.with_name("previous"))


def describe(folder: pathlib.Path, preprocessing, classes: Sequence[str]) -> None:
    """Writes what a model's user needs beside it: labels and preprocessing."""
    folder.mkdir(exist_ok=True)
    for name, text in descriptions(preprocessing, classes).items():
        files.write_text(folder / name, text)


def descriptions(preprocessing, classes: Sequence[str]) -> dict[str, str]:
    """Texts of the files for labels and preprocessing, by their names."""
    labels = "".join(f"{label}\n" for label in classes)
    return {LABELS: labels, PREPROCESSING: preprocessing.to_json() + "\n"}


def read_labels(folder: pathlib.Path) -> tuple[str, ...]:
    """The classes that `describe` wrote."""
    # Not splitlines(): a label may hold one of the rarer characters that it takes for line ends.
    text = (folder / LABELS).read_bytes().decode("utf-8")
    return tuple(text.removesuffix("\n").split("\n"))


def digests(folder: pathlib.Path) -> dict[str, dict]:
    """Size in bytes and SHA-256 of every file below the folder, by its path there."""
    return {name: _digest(folder / name) for name in _files(folder)}


def _files(folder: pathlib.Path) -> list[str]:
    paths = (path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())
    return sorted(path.relative_to(folder).as_posix() for path in paths)


def _digest(path: pathlib.Path) -> dict:
    contents = path.read_bytes()
    return {"bytes": len(contents), "sha256": hashlib.sha256(contents).hexdigest()}
