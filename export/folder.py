"""The folder of an export: its files' names, its models' versions, and when it may be written."""

from __future__ import annotations

import hashlib
import pathlib
import re
from collections.abc import Iterator, Mapping, Sequence

from darts_tf.errors import InputError, shown
from darts_tf.runs import files
from darts_tf.runtime import atomic
from darts_tf.runtime.outputs import check_output_folder

REPORT = "export_report.json"
PAGE = "report.html"
"""The report for people."""
LABELS = "labels.txt"
"""The classes' names, one a line, in the order of the logits."""
PREPROCESSING = "preprocessing.json"
VOCABULARY = files.VOCABULARY
"""The words of a language model, one a line, in the order of the logits."""
TEXT = "text.json"
"""How a text becomes words of that vocabulary."""
GENOTYPE = "genotype.json"
SAVED_MODELS = "saved_model"
"""Has a folder for every name, and that one for every version: what TF Serving reads."""
ASSETS = "assets"
"""Inside a SavedModel, the files that belong to it."""
LOCK = ".lock"
"""Held by a process that replaces an earlier export."""
STAGED = ".export-"
"""Begins the name of a folder in which the files of an export wait until all are written."""

LARGEST_VERSION = 2**63 - 1
"""That TF Serving can read."""


def check_output(output: pathlib.Path, overwrite: bool) -> None:
    """Checks that the output is new or empty, or, to overwrite, an earlier export.

    Raises:
        InputError: it is something else.
    """
    check_output_folder(
        "output", output, is_new, overwrite, instead="--overwrite for an earlier export"
    )
    if not is_new(output) and not any(recorded(output)):
        raise InputError(
            f"Expected output to hold an export to overwrite, with its {REPORT}. "
            f"Received: output={str(output)!r}"
        )


def is_new(output: pathlib.Path) -> bool:
    """Whether nothing is at `output`, but for what an export left that had not been written yet."""
    if not output.is_dir():
        return True
    entries = (path for path in output.iterdir() if path.name != LOCK)
    return all(path.name.startswith(STAGED) and not (path / REPORT).exists() for path in entries)


def recorded(output: pathlib.Path) -> Iterator[dict[str, dict]]:
    """The files, with size and SHA-256 by their path, of the export that is at `output`.

    First those of the report, then those of exports that were stopped while they replaced it.
    """
    for place in (output, *sorted(output.glob(f"{STAGED}*"))):
        try:
            written = files.read_json(place / REPORT)["files"]
        except (KeyError, TypeError, ValueError):
            continue
        if isinstance(written, dict):
            yield written


def check_name(name: str) -> None:
    """Raises InputError where a model's name is none that fits in paths and addresses."""
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}", name):
        raise InputError(
            "Expected name to be of letters, digits, _, - and . (not first), at most 100. "
            f"Received: name={shown(name)}"
        )


def versions(model: pathlib.Path) -> dict[int, pathlib.Path]:
    """The SavedModels below the folder of a name, by version, the newest last."""
    if not model.is_dir():
        return {}
    found = (path for path in model.iterdir() if re.fullmatch("[0-9]+", path.name))
    return dict(sorted((int(path.name), path) for path in found if path.is_dir()))


def new_version(output: pathlib.Path, name: str, version: int | None = None) -> int:
    """The version that is asked for, or else the one after the newest.

    Raises:
        InputError: the version is there already, or is no positive number; or a name that cannot
            be.
    """
    check_name(name)
    there = versions(output / SAVED_MODELS / name)
    if version is None:
        return max(there, default=0) + 1
    if not 0 < version <= LARGEST_VERSION:
        raise InputError(
            f"Expected a version from 1 to {LARGEST_VERSION}. Received: version={shown(version)}"
        )
    if version in there:
        raise InputError(
            "Expected a version that is not there yet, since a server may be using it. "
            f"Received: version={version}, there are {', '.join(map(str, there))}"
        )
    return version


def place(path: str, name: str, version: int) -> str:
    """Where in an export a format's file or folder is."""
    return f"{path}/{name}/{version}" if path == SAVED_MODELS else path


def version_of(path: str) -> str | None:
    """The folder of the SavedModel that a file in an export belongs to, or None."""
    match = re.match(rf"{SAVED_MODELS}/[^/]+/[0-9]+(?=/)", path)
    return match[0] if match else None


def describe(folder: pathlib.Path, preprocessing, classes: Sequence[str]) -> None:
    """Writes what a model's user needs beside it: labels and preprocessing."""
    write_texts(folder, descriptions(preprocessing, classes))


def write_texts(folder: pathlib.Path, texts: Mapping[str, str]) -> None:
    """Writes texts into files by their names, in a folder that is made if it is not there."""
    folder.mkdir(exist_ok=True)
    for name, text in texts.items():
        atomic.write_text(folder / name, text)


def descriptions(preprocessing, classes: Sequence[str]) -> dict[str, str]:
    """Texts of the files for labels and preprocessing, by their names."""
    labels = "".join(f"{label}\n" for label in classes)
    return {LABELS: labels, PREPROCESSING: preprocessing.to_json() + "\n"}


def read_labels(contents: bytes) -> tuple[str, ...]:
    """The classes in a file that `describe` wrote."""
    # Not splitlines(): a label may hold one of the rarer characters that it takes for line ends.
    return tuple(contents.decode("utf-8").removesuffix("\n").split("\n"))


def digests(folder: pathlib.Path) -> dict[str, dict]:
    """Size in bytes and SHA-256 of every file below the folder, by its path there."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): digest(path) for path in paths}


def digest(path: pathlib.Path) -> dict:
    """Size in bytes and SHA-256 of a file."""
    contents = path.read_bytes()
    return {"bytes": len(contents), "sha256": hashlib.sha256(contents).hexdigest()}
