"""The folder of an export: names of its files, versions of its models, checks before writing."""

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
"""The report as an HTML page."""
LABELS = "labels.txt"
"""Names of the classes, one per line, in the order of the logits."""
PREPROCESSING = "preprocessing.json"
VOCABULARY = files.VOCABULARY
"""Words of a language model, one per line, in the order of the logits."""
TEXT = "text.json"
"""Rule that splits a text into words of the vocabulary."""
GENOTYPE = "genotype.json"
SAVED_MODELS = "saved_model"
"""Folder with `NAME/VERSION/` inside, the layout that TF Serving reads."""
ASSETS = "assets"
"""Folder inside a SavedModel with files such as labels."""
LOCK = ".lock"
"""Lock file that is held while a process replaces an earlier export."""
STAGED = ".export-"
"""Prefix of the temporary folder in which an export is written before its files are moved."""

LARGEST_VERSION = 2**63 - 1
"""Largest version number that TF Serving can read."""


def check_output(output: pathlib.Path, overwrite: bool) -> None:
    """Checks that the output is new or empty, or an earlier export if `overwrite` is set.

    Raises:
        InputError: the output is something else.
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
    """Returns whether `output` is missing or empty, except for files of an interrupted export."""
    if not output.is_dir():
        return True
    entries = (path for path in output.iterdir() if path.name != LOCK)
    return all(path.name.startswith(STAGED) and not (path / REPORT).exists() for path in entries)


def recorded(output: pathlib.Path) -> Iterator[dict[str, dict]]:
    """Yields the recorded files of the export at `output`: size and SHA-256 by path.

    The report's files come first, then those of exports that were interrupted while replacing it.
    """
    for place in (output, *sorted(output.glob(f"{STAGED}*"))):
        try:
            written = files.read_json(place / REPORT)["files"]
        except (KeyError, TypeError, ValueError):
            continue
        if isinstance(written, dict):
            yield written


def check_name(name: str) -> None:
    """Raises InputError if a model's name cannot be part of paths and URLs."""
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}", name):
        raise InputError(
            "Expected name to be of letters, digits, _, - and . (not first), at most 100. "
            f"Received: name={shown(name)}"
        )


def versions(model: pathlib.Path) -> dict[int, pathlib.Path]:
    """Returns the SavedModels below the folder of a model's name, by version, the newest last."""
    if not model.is_dir():
        return {}
    numbered = (path for path in model.iterdir() if re.fullmatch("[0-9]+", path.name))
    return dict(sorted((int(path.name), path) for path in numbered if path.is_dir()))


def new_version(output: pathlib.Path, name: str, version: int | None = None) -> int:
    """Returns `version`, or by default the one after the newest.

    Raises:
        InputError: the version exists already or is out of range, or the name is invalid.
    """
    check_name(name)
    existing = versions(output / SAVED_MODELS / name)
    if version is None:
        return max(existing, default=0) + 1
    if not 0 < version <= LARGEST_VERSION:
        raise InputError(
            f"Expected a version from 1 to {LARGEST_VERSION}. Received: version={shown(version)}"
        )
    if version in existing:
        raise InputError(
            "Expected a version that does not exist yet, since a server may be using it. "
            f"Received: version={version}, there are {', '.join(map(str, existing))}"
        )
    return version


def place(path: str, name: str, version: int) -> str:
    """Returns the path of a format's file or folder inside an export."""
    return f"{path}/{name}/{version}" if path == SAVED_MODELS else path


def version_of(path: str) -> str | None:
    """Returns the folder of the SavedModel that a file in an export belongs to, or None."""
    match = re.match(rf"{SAVED_MODELS}/[^/]+/[0-9]+(?=/)", path)
    return match[0] if match else None


def describe(folder: pathlib.Path, preprocessing, classes: Sequence[str]) -> None:
    """Writes the files for users of a model: labels and preprocessing."""
    write_texts(folder, descriptions(preprocessing, classes))


def write_texts(folder: pathlib.Path, texts: Mapping[str, str]) -> None:
    """Writes texts to files by name, in a folder that is created if it does not exist."""
    folder.mkdir(exist_ok=True)
    for name, text in texts.items():
        atomic.write_text(folder / name, text)


def descriptions(preprocessing, classes: Sequence[str]) -> dict[str, str]:
    """Returns the contents of the files for labels and preprocessing, by file name."""
    labels = "".join(f"{label}\n" for label in classes)
    return {LABELS: labels, PREPROCESSING: preprocessing.to_json() + "\n"}


def read_labels(contents: bytes) -> tuple[str, ...]:
    """Returns the classes in a file that `describe` wrote."""
    # Not splitlines(): a label may contain other characters that it treats as line ends.
    return tuple(contents.decode("utf-8").removesuffix("\n").split("\n"))


def digests(folder: pathlib.Path) -> dict[str, dict]:
    """Returns size in bytes and SHA-256 of every file below the folder, by relative path."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): digest(path) for path in paths}


def digest(path: pathlib.Path) -> dict:
    """Returns size in bytes and SHA-256 of a file."""
    contents = path.read_bytes()
    return {"bytes": len(contents), "sha256": hashlib.sha256(contents).hexdigest()}


def is_unchanged(output: pathlib.Path, name: str, recorded_digest: dict) -> bool:
    """Returns whether a file in an export is what an export wrote, and no link to elsewhere."""
    path = output / name
    inside = path.resolve().is_relative_to(output) and path.is_file() and not path.is_symlink()
    return inside and digest(path) == recorded_digest
