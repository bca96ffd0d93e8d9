"""What every export does: each model is written, opened again, compared with Keras, published."""

from __future__ import annotations

import gc
import pathlib
import platform
import shutil
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf
from darts_tf.export import folder, parity, report_page
from darts_tf.export.publishing import published

import darts_tf
from darts_tf.errors import InputError, unknown_name
from darts_tf.runs import files
from darts_tf.runtime import atomic


def nothing(path: pathlib.Path) -> dict:
    """Of a format whose file has nothing more to tell."""
    return {}


class Format(NamedTuple):
    """A format.

    Attributes:
        path: of its file or folder inside an export; `folder.place` adds name and version.
        write: writes a model to a path.
        open_logits: makes a function of what was written: from what the model reads to its logits.
        bounds: how near to Keras it is published.
        describe: more about what was written, for the report.
        calibrated: whether `write` needs images of the training split.
        check: raises InputError where the format cannot be written on this machine.
    """

    path: str
    write: Callable[..., None]
    open_logits: Callable[[pathlib.Path], Callable[[np.ndarray], np.ndarray]]
    bounds: parity.Bounds
    describe: Callable[[pathlib.Path], dict] = nothing
    calibrated: bool = False
    check: Callable[[], None] = lambda: None


class Comparison(NamedTuple):
    """What models are compared with Keras by.

    Attributes:
        expected: Keras' logits; the last dimension is the classes, or the vocabulary.
        quality: from logits to what the report says of how good they are, by its name.
        rounding: how far Keras is from itself in float64; called where that matters.
    """

    expected: np.ndarray
    quality: Callable[[np.ndarray], dict[str, float | None]]
    rounding: Callable[[], float]

    def of(self, name: str, logits: np.ndarray, bounds: parity.Bounds) -> dict:
        """What the report says of a model's logits.

        Two correct models differ by what each of them rounds, which may be more than a bound where
        a network magnifies it: then the bound is twice what Keras rounds.

        Raises:
            ParityError: they miss a bound.
        """
        found = parity.compare(self.expected, logits)
        if bounds.difference is not None and found.difference > bounds.difference:
            bounds = bounds._replace(difference=max(bounds.difference, 2 * self.rounding()))
        parity.check(name, found, bounds)
        asked = {what: bound for what, bound in bounds._asdict().items() if bound is not None}
        return {"bounds": asked, **found._asdict(), **self.quality(logits)}


def check_formats(formats: Sequence[str], known: Mapping[str, object]) -> None:
    """Raises InputError unless each format is known, and there once."""
    for name in formats:
        if name not in known:
            raise unknown_name("format", name, known)
    if not formats or len(set(formats)) < len(formats):
        raise InputError(f"Expected each format once, at least one. Received: {formats=}")


def versions() -> dict[str, str]:
    """Of what makes the models."""
    ours = {"darts_tf": darts_tf.__version__, "tensorflow": tf.__version__}
    return {**ours, "keras": keras.__version__, "python": platform.python_version()}


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
    """Writes an export's folder, with those models that are as near to Keras as they must be.

    Args:
        output: folder to write.
        summary: the report so far, `name` and `version` in it; of the formats and of what missed
            its bound it has none yet.
        forms: by their names.
        comparison: of the models' logits.
        describe: writes into a folder what a model's user needs beside it.
        write: writes a model in a format to a path.
        logits: of what is at that path, for what Keras was asked.
        report: called with a line of text at every step.

    Returns:
        The report, which is also written.

    Raises:
        ParityError: every model misses a bound; nothing has been written then.
    """
    name, version = summary["name"], summary["version"]
    with published(output) as written:
        describe(written)
        for format_name, form in forms.items():
            place = folder.place(form.path, name, version)
            path = written / place
            path.parent.mkdir(parents=True, exist_ok=True)
            report(f"writing {format_name}")
            write(form, path)
            gc.collect()  # graphs with all weights in them, which refer to themselves
            report(f"comparing {format_name} with Keras")
            try:
                found = comparison.of(format_name, logits(form, path), form.bounds)
            except parity.ParityError as error:
                summary["missed"][format_name] = {"path": place, "reason": str(error)}
                _remove(written / form.path)
                continue
            of_file = {"path": place, "bytes": _size(path)}
            summary["formats"][format_name] = {**of_file, **found, **form.describe(path)}
        if not summary["formats"]:
            reasons = (model["reason"] for model in summary["missed"].values())
            raise parity.ParityError("; ".join(reasons))
        return _report(written, summary)


def _report(written: pathlib.Path, summary: dict) -> dict:
    """Writes the report for people and the one for programs, which it returns."""
    summary = files.plain({**summary, "files": folder.digests(written)})
    atomic.write_text(written / folder.PAGE, report_page.render(summary))
    summary["files"][folder.PAGE] = folder.digest(written / folder.PAGE)
    files.write_json(written / folder.REPORT, summary)
    return summary


def _size(path: pathlib.Path) -> int:
    """Bytes of a file, or of all below a folder."""
    inside = [path, *path.rglob("*")] if path.is_dir() else [path]
    return sum(file.stat().st_size for file in inside if file.is_file())


def _remove(path: pathlib.Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
