"""Checkpoints: written atomically in the background, and free of executable code.

A checkpoint is one `.npz` file: an array for every variable, and a JSON text with the position in
the run and its settings. It holds the whole state of a run: batches are a function of the seed and
the step, so that the step determines the position in the data. The checksums of the zip format
reveal damaged files.
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
from darts_tf.runtime.archives import check_archive
from darts_tf.runtime.strict_json import parse_json

LOG = logging.getLogger("darts_tf")

FORMAT = 2
"""Version number of the file format; files with another number are rejected.

Since 2, the velocities of SGD do not contain the learning rate.
"""

PATTERN = "step-*.npz"
BEST = "best.npz"
"""Name of the best checkpoint, for runs that select one: a second name of one of the others, which
may have been deleted since."""


@dataclasses.dataclass(frozen=True)
class Position:
    """Position in a run at which a checkpoint was taken.

    Attributes:
        epoch: index of the current epoch, from 0.
        step: number of finished steps of that epoch. If equal to `steps`, the work at the end of
            the epoch is still to be done.
        steps: number of steps per epoch; an upper bound if epochs differ in length.
    """

    epoch: int
    step: int
    steps: int

    @property
    def done(self) -> int:
        """Number of steps since the start of the run."""
        return self.epoch * self.steps + self.step


class CheckpointError(InputError):
    """Error for a file that is not a complete checkpoint."""


class FormatError(CheckpointError):
    """Error for a checkpoint of another format, which another version has written."""


def write(folder: pathlib.Path, position: Position, config: dict, arrays: Sequence) -> pathlib.Path:
    """Writes a checkpoint to a temporary file and renames it; returns its path.

    Args:
        folder: folder of the checkpoints.
        position: current position in the run.
        config: settings of the run, as a JSON object.
        arrays: values of the run's variables, in their order.

    Raises:
        OSError: the disk is full or not writable; earlier checkpoints stay intact.
    """
    arrays = list(arrays)
    about = {"format": FORMAT, **dataclasses.asdict(position), "config": config}
    about["arrays"] = len(arrays)
    meta = np.frombuffer(json.dumps(about).encode(), np.uint8)
    path = folder / _name(position)
    with atomic.replacing(path) as written, written.open("wb") as file:
        np.savez(file, meta=meta, **{f"{i:06}": array for i, array in enumerate(arrays)})
    return path


def _name(position: Position) -> str:
    return f"step-{position.done:010}.npz"


def _copy(path: pathlib.Path, place: pathlib.Path) -> None:
    """Makes a file available under a second name, replacing any file of that name."""
    with atomic.replacing(place) as written:
        try:
            os.link(path, written)
        except OSError:  # the file system has no hard links
            shutil.copyfile(path, written)


def read(path: pathlib.Path) -> tuple[Position, dict, list[np.ndarray]]:
    """Returns the position, settings and arrays of a checkpoint.

    Raises:
        FormatError: the checkpoint has another format number.
        CheckpointError: the file is not a complete checkpoint.
    """
    try:
        check_archive(path)
        with zipfile.ZipFile(path) as archive:
            about = _checked(bytes(_array(archive, "meta")))
            arrays = [_array(archive, f"{i:06}") for i in range(about["arrays"])]
            return *_parts(about), arrays
    except FormatError as error:
        raise FormatError(f"{error} ({path})") from error
    except CheckpointError:
        raise
    except Exception as error:  # zipfile and NumPy raise many types for damaged files
        reason = shortened(first_line(error), SHOWN)
        raise CheckpointError(
            f"Expected a whole checkpoint. Received: {str(path)!r} ({reason})"
        ) from error


def _array(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    # read the whole member so that zipfile verifies its checksum: NumPy would read only as much as
    # a possibly damaged header asks for
    contents = io.BytesIO(archive.read(f"{name}.npy"))
    return np.lib.format.read_array(contents, allow_pickle=False)


def parse(text: bytes) -> tuple[Position, dict]:
    """Returns the position and settings in the JSON text of a checkpoint.

    Raises:
        CheckpointError: the text is not JSON, or has another format number or structure.
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
        raise FormatError(
            f"Expected a checkpoint of format {FORMAT}. Received: format {shown(about['format'])}, "
            "of another version of darts-tf, which cannot be resumed; start a run in a new folder"
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
    """Returns the paths of the checkpoints in a folder, newest first."""
    return sorted(folder.glob(PATTERN), reverse=True)


def readable(
    paths: Iterable[pathlib.Path],
) -> Iterator[tuple[pathlib.Path, Position, dict, list[np.ndarray]]]:
    """Yields path, position, settings and arrays of every complete checkpoint, in the given order.

    A damaged checkpoint is logged and skipped.

    Args:
        paths: paths of the checkpoints, as from `newest`.

    Raises:
        FormatError: a checkpoint has another format number.
    """
    for path in paths:
        try:
            contents = read(path)
        except FormatError:
            raise
        except CheckpointError as error:
            LOG.warning("%s; trying the one before", error)
            continue
        yield path, *contents


class Writer:
    """Context manager: writes checkpoints in a background thread and keeps the newest ones.

    Args:
        folder: folder of the checkpoints; created with the first one.
        keep: number of checkpoints to keep.
    """

    def __init__(self, folder: pathlib.Path, keep: int):
        self.folder = folder
        self.keep = keep
        self._thread = concurrent.futures.ThreadPoolExecutor(1, "checkpoint")
        self._pending = None

    def __enter__(self):
        for name in (PATTERN, BEST):
            for remainder in self.folder.glob(f".{name}.*"):  # of a process that was killed
                shutil.rmtree(remainder, ignore_errors=True)
        return self

    def __exit__(self, *exception):
        self._thread.shutdown(wait=True)

    def write(
        self, position: Position, config: dict, arrays: Sequence[np.ndarray], best: bool = False
    ) -> None:
        """Starts to write a checkpoint; waits first until the previous one is written.

        Args:
            position: see the function `write`.
            config: see the function `write`.
            arrays: see the function `write`.
            best: also keep the checkpoint as `BEST`, replacing the previous best one.

        Raises:
            OSError: the previous checkpoint could not be written.
        """
        self.wait()
        self._pending = self._thread.submit(self._write, position, config, arrays, best)

    def wait(self) -> None:
        """Waits until the pending checkpoint is written.

        Raises:
            OSError: it could not be written.
        """
        pending, self._pending = self._pending, None
        if pending:
            pending.result()

    def check(self) -> None:
        """Raises the error of a failed checkpoint, without waiting for one still being written."""
        if self._pending and self._pending.done():
            self.wait()

    def forget_after(self, position: Position) -> None:
        """Deletes the checkpoints after a position that the run was rolled back to."""
        for path in newest(self.folder):
            if path.name > _name(position):
                path.unlink(missing_ok=True)

    def _write(self, position, config, arrays, best):
        try:
            path = write(self.folder, position, config, arrays)
            if best:
                _copy(path, self.folder / BEST)
        except OSError as error:
            earlier = "there is no earlier one"
            if newest(self.folder):
                earlier = "the earlier ones are intact and --resume continues from the last"
            raise OSError(
                error.errno,
                f"{error.strerror or error}; no checkpoint could be written, {earlier}",
                str(self.folder),
            ) from error
        for path in newest(self.folder)[self.keep :]:
            path.unlink(missing_ok=True)
