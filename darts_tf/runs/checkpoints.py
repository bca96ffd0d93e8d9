"""Checkpoints: files that are whole or absent, data alone, written while the run goes on.

A checkpoint is one `.npz` file: an array for every variable, and a JSON text on what they belong
to. It holds all that the rest of a run depends on; batches are a function of the seed and the step,
so that the data's position is the step. The zip format's checksums tell a damaged file.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import io
import json
import logging
import os
import pathlib
import shutil
import zipfile
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from darts_tf.errors import SHOWN, InputError, first_line, listed, shortened, shown
from darts_tf.runtime import atomic
from darts_tf.runtime.strict_json import parse_json

LOG = logging.getLogger("darts_tf")

FORMAT = 1
"""Of the files; a later one that this version cannot read has another number."""

PATTERN = "step-*.npz"
BEST = "best.npz"
"""The one that a run takes in the end, where it chooses; another name of one of the others, which
may be gone."""


@dataclasses.dataclass(frozen=True)
class Position:
    """Where in a run a checkpoint was taken.

    Attributes:
        epoch: the one under way, from 0.
        step: steps of that epoch that are done; with all of them its end is still to come.
        steps: of a whole epoch; where epochs differ, no fewer than any of them has.
    """

    epoch: int
    step: int
    steps: int

    @property
    def done(self) -> int:
        """Steps since the start of the run."""
        return self.epoch * self.steps + self.step


class CheckpointError(InputError):
    """A file that is no whole checkpoint."""


def write(folder: pathlib.Path, position: Position, config: dict, arrays: Sequence) -> pathlib.Path:
    """Writes a checkpoint, beside its place first and then renamed into it.

    Args:
        folder: of the checkpoints.
        position: where the run is.
        config: its settings, as a JSON object.
        arrays: what its variables hold, in their order.

    Raises:
        OSError: the disk is full, or cannot be written to; earlier checkpoints are as they were.
    """
    arrays = list(arrays)
    about = {"format": FORMAT, **dataclasses.asdict(position), "config": config}
    about["arrays"] = len(arrays)
    meta = np.frombuffer(json.dumps(about).encode(), np.uint8)
    path = folder / _name(position)
    with atomic.replacing(path) as written, written.open("wb") as file:
        np.savez(file, meta=meta, **{f"{i:06}": array for i, array in enumerate(arrays)})
        file.flush()
        os.fsync(file.fileno())
    return path


def _name(position: Position) -> str:
    return f"step-{position.done:010}.npz"


def _copy(path: pathlib.Path, place: pathlib.Path) -> None:
    """The same file under another name, in place of what has it."""
    with atomic.replacing(place) as written:
        try:
            os.link(path, written)
        except OSError:  # a file system without links
            shutil.copyfile(path, written)


def read(path: pathlib.Path) -> tuple[Position, dict, list[np.ndarray]]:
    """Position, settings and arrays of a checkpoint.

    Raises:
        CheckpointError: not a whole checkpoint.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            about = _checked(bytes(_array(archive, "meta")))
            arrays = [_array(archive, f"{i:06}") for i in range(about["arrays"])]
            return *_parts(about), arrays
    except CheckpointError:
        raise
    except Exception as error:  # a damaged file can raise nearly anything in its readers
        reason = shortened(first_line(error), SHOWN)
        raise CheckpointError(
            f"Expected a whole checkpoint. Received: {str(path)!r} ({reason})"
        ) from error


def _array(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    # whole, so that its checksum is compared: NumPy stops where a damaged header tells it to
    contents = io.BytesIO(archive.read(f"{name}.npy"))
    return np.lib.format.read_array(contents, allow_pickle=False)


def parse(text: bytes) -> tuple[Position, dict]:
    """Position and settings from a checkpoint's JSON text.

    Raises:
        CheckpointError: it is something else.
    """
    return _parts(_checked(text))


def _parts(about: dict) -> tuple[Position, dict]:
    return Position(*(about[field.name] for field in dataclasses.fields(Position))), about["config"]


def _checked(text: bytes) -> dict:
    try:
        about = parse_json(text)
    except InputError as error:
        raise CheckpointError(str(error)) from error
    if not isinstance(about, dict) or type(about.get("format")) is not int:
        raise CheckpointError(f"Expected a checkpoint of format {FORMAT}. Received: something else")
    if about["format"] != FORMAT:
        raise CheckpointError(
            f"Expected a checkpoint of format {FORMAT}. Received: format {shown(about['format'])}"
        )
    numbers = [about.get(field.name) for field in dataclasses.fields(Position)]
    whole = all(type(number) is int and 0 <= number < 2**53 for number in numbers)
    if not whole or not numbers[1] <= numbers[2] > 0 or not isinstance(about.get("config"), dict):
        raise CheckpointError(
            "Expected a checkpoint's epoch, step and steps as numbers, and its config. "
            f"Received: {listed(about)}"
        )
    return about


def newest(folder: pathlib.Path) -> list[pathlib.Path]:
    """Paths of the checkpoints in a folder, the newest first."""
    return sorted(folder.glob(PATTERN), reverse=True)


def readable(
    paths: Iterable[pathlib.Path],
) -> Iterator[tuple[pathlib.Path, Position, dict, list[np.ndarray]]]:
    """Yields path, position, settings and arrays of the checkpoints that are whole, in this order.

    A damaged checkpoint is logged and left out, so that the one before it is taken.

    Args:
        paths: of the checkpoints, as from `newest`.
    """
    for path in paths:
        try:
            contents = read(path)
        except CheckpointError as error:
            LOG.warning("%s; trying the one before", error)
            continue
        yield path, *contents


class Writer:
    """Writes checkpoints in a thread of its own, and keeps the last ones; a context manager.

    Args:
        folder: of the checkpoints; made with the first of them.
        keep: how many stay.
    """

    def __init__(self, folder: pathlib.Path, keep: int):
        self.folder = folder
        self.keep = keep
        self._thread = concurrent.futures.ThreadPoolExecutor(1, "checkpoint")
        self._pending = None

    def __enter__(self):
        for name in (PATTERN, BEST):
            for left in self.folder.glob(f".{name}.*"):  # by a process that was killed
                shutil.rmtree(left, ignore_errors=True)
        return self

    def __exit__(self, *exception):
        self._thread.shutdown(wait=True)

    def write(
        self, position: Position, config: dict, arrays: Sequence[np.ndarray], best: bool = False
    ) -> None:
        """Begins to write a checkpoint, once the one before is written.

        Args:
            position: as in the function `write`.
            config: as there.
            arrays: as there.
            best: it stays as `BEST`, in place of the one before.

        Raises:
            OSError: the one before could not be written.
        """
        self.wait()
        self._pending = self._thread.submit(self._write, position, config, arrays, best)

    def wait(self) -> None:
        """Returns when all is written.

        Raises:
            OSError: it could not be.
        """
        pending, self._pending = self._pending, None
        if pending:
            pending.result()

    def check(self) -> None:
        """Raises the error of a checkpoint that could not be written, if that is known by now."""
        if self._pending and self._pending.done():
            self.wait()

    def forget_after(self, position: Position) -> None:
        """Deletes the checkpoints of a time that a run has gone back from."""
        for path in newest(self.folder):
            if path.name > _name(position):
                path.unlink(missing_ok=True)

    def _write(self, position, config, arrays, best):
        try:
            path = write(self.folder, position, config, arrays)
            if best:
                _copy(path, self.folder / BEST)
        except OSError as error:
            raise OSError(
                error.errno,
                f"{error.strerror or error}; no checkpoint could be written, the earlier ones are "
                "intact and --resume goes on from the last",
                str(self.folder),
            ) from error
        for path in newest(self.folder)[self.keep :]:
            path.unlink(missing_ok=True)
