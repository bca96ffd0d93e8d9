"""The steps of every export: write each model, open it, compare it with Keras, publish it."""

from __future__ import annotations

import contextlib
import gc
import hashlib
import pathlib
import platform
import shutil
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

import darts_tf
from darts_tf.errors import InputError, unknown_name
from darts_tf.export import folder, parity, report_page
from darts_tf.export.publishing import published
from darts_tf.runs import files
from darts_tf.runtime import atomic


def nothing(path: pathlib.Path) -> dict:
    """Returns no description, for formats without one."""
    return {}


class Format(NamedTuple):
    """An export format.

    Attributes:
        path: path of its file or folder inside an export; `folder.place` adds name and version.
        write: writes a model to a path.
        open_logits: opens a written model as a function from its inputs to logits.
        bounds: largest differences from Keras with which a model is published.
        describe: returns more entries about a written model for the report.
        calibrated: whether `write` needs images of the training split.
        check: raises InputError if the format cannot be written on this machine.
    """

    path: str
    write: Callable[..., None]
    open_logits: Callable[[pathlib.Path], Callable[[np.ndarray], np.ndarray]]
    bounds: parity.Bounds
    describe: Callable[[pathlib.Path], dict] = nothing
    calibrated: bool = False
    check: Callable[[], None] = lambda: None


class Comparison(NamedTuple):
    """Comparison of models with Keras.

    Attributes:
        expected: Keras' logits; the last axis is the classes, or the vocabulary.
        quality: function from logits to measures of quality for the report, by name.
        rounding: returns the difference of Keras' logits from those in float64; called only if a
            model misses its bound.
    """

    expected: np.ndarray
    quality: Callable[[np.ndarray], dict[str, float | None]]
    rounding: Callable[[], float]

    def of(self, name: str, logits: np.ndarray, bounds: parity.Bounds) -> dict:
        """Returns the report's entries about a model's logits.

        Two correct models differ by their rounding errors, which a network can amplify beyond a
        bound. The bound is then twice the rounding error of Keras.

        Raises:
            ParityError: the logits miss a bound.
        """
        measured = parity.compare(self.expected, logits)
        if bounds.difference is not None and measured.difference > bounds.difference:
            bounds = bounds._replace(difference=max(bounds.difference, 2 * self.rounding()))
        parity.check(name, measured, bounds)
        applied = {what: bound for what, bound in bounds._asdict().items() if bound is not None}
        return {"bounds": applied, **measured._asdict(), **self.quality(logits)}


def check_formats(formats: Sequence[str], known: Mapping[str, object]) -> None:
    """Raises InputError unless each format is known, and there once."""
    for name in formats:
        if name not in known:
            raise unknown_name("format", name, known)
    if not formats or len(set(formats)) < len(formats):
        raise InputError(f"Expected each format once, at least one. Received: {formats=}")


def versions() -> dict[str, str]:
    """Returns the versions of the packages that write the models."""
    ours = {"darts_tf": darts_tf.__version__, "tensorflow": tf.__version__}
    return {**ours, "keras": keras.__version__, "python": platform.python_version()}


def fingerprint(model: keras.Model, *descriptions: object) -> str:
    """Returns a SHA-256 of a network's weights and of texts that describe its use."""
    digest = hashlib.sha256(repr(descriptions).encode())
    for variable in model.weights:
        digest.update(np.ascontiguousarray(variable.numpy()))
    return digest.hexdigest()


def publish(
    output: pathlib.Path,
    summary: dict,
    forms: Mapping[str, Format],
    comparison: Comparison,
    *,
    describe: Callable[[pathlib.Path], None],
    write: Callable[[Format, pathlib.Path], None],
    logits: Callable[[Format, pathlib.Path], np.ndarray],
    report: Callable[[str], None],
) -> dict:
    """Writes an export's folder with the models that are within their bounds.

    Models of other formats that an earlier export of the same network wrote to the folder stay, and
    stay in the report.

    Args:
        output: folder to write.
        summary: the report so far, with `name`, `version`, the `network`'s fingerprint, and empty
            `formats` and `missed`.
        forms: formats by name.
        comparison: compares the models' logits with Keras.
        describe: writes the files for users of the models into a folder.
        write: writes a model in a format to a path.
        logits: returns the logits of the model at that path, for the inputs that Keras got.
        report: called with a line of text at every step.

    Returns:
        The report, which is also written.

    Raises:
        ParityError: every model misses a bound; nothing is written then.
    """
    name, version = summary["name"], summary["version"]
    kept, kept_files = _kept(output, summary["network"], forms)
    with published(output) as written:
        describe(written)
        for format_name, form in forms.items():
            place = folder.place(form.path, name, version)
            path = written / place
            path.parent.mkdir(parents=True, exist_ok=True)
            report(f"writing {format_name}")
            write(form, path)
            gc.collect()  # frees graphs that contain all weights and are in reference cycles
            report(f"comparing {format_name} with Keras")
            try:
                measured = comparison.of(format_name, logits(form, path), form.bounds)
            except parity.ParityError as error:
                summary["missed"][format_name] = {"path": place, "reason": str(error)}
                _remove(written / form.path)
                continue
            file = {"path": place, "bytes": _size(path)}
            summary["formats"][format_name] = {**file, **measured, **form.describe(path)}
        if not summary["formats"]:
            reasons = (model["reason"] for model in summary["missed"].values())
            raise parity.ParityError("; ".join(reasons))
        summary["formats"] |= kept
        return _report(written, summary, kept_files)


def _kept(output: pathlib.Path, network: str, forms: Mapping[str, Format]) -> tuple[dict, dict]:
    """Returns the models of other formats of an earlier export that stay: entries and files."""
    entries, kept = {}, {}
    with contextlib.suppress(InputError, AttributeError, KeyError, TypeError):  # another file
        earlier = files.read_json(output / folder.REPORT)
        if earlier["network"] != network:
            return {}, {}
        for name in earlier["formats"].keys() - forms:
            path = earlier["formats"][name]["path"]
            own = {
                place: digest
                for place, digest in earlier["files"].items()
                if place == path or place.startswith(f"{path}/")
            }
            if own and all(folder.is_unchanged(output, *file) for file in own.items()):
                entries[name] = earlier["formats"][name]
                kept |= own
    return entries, kept


def _report(written: pathlib.Path, summary: dict, kept: Mapping[str, dict]) -> dict:
    """Writes the report as HTML and as JSON; returns the latter.

    Args:
        written: folder of the new files.
        summary: the report without its list of files.
        kept: files of an earlier export that stay, as from `folder.digests`.
    """
    summary = files.plain({**summary, "files": {**kept, **folder.digests(written)}})
    atomic.write_text(written / folder.PAGE, report_page.render(summary))
    summary["files"][folder.PAGE] = folder.digest(written / folder.PAGE)
    files.write_json(written / folder.REPORT, summary)
    return summary


def _size(path: pathlib.Path) -> int:
    """Returns the size of a file, or of all files below a folder, bytes."""
    inside = [path, *path.rglob("*")] if path.is_dir() else [path]
    return sum(file.stat().st_size for file in inside if file.is_file())


def _remove(path: pathlib.Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
