"""`darts-tf board`: TensorBoard for one or more runs."""

from __future__ import annotations

import contextlib
import logging
import pathlib
import signal
import sys
import tempfile
import threading
import types
import warnings
from collections.abc import Iterable, Mapping

from darts_tf.cli import startup
from darts_tf.configs import BoardConfig
from darts_tf.errors import InputError, escaped, first_line, listed
from darts_tf.runs import files
from darts_tf.runtime.inputs import not_there

REFRESH = 5
"""Seconds between searches for new runs."""

WITHOUT_TENSORFLOW = "tensorboard.compat.notf"
"""Name of a module; if it can be imported, TensorBoard uses its own stub of TensorFlow."""

EVENTS = "*tfevents*"
"""Pattern of the names of event files."""


def run(config: BoardConfig) -> int:
    """Starts TensorBoard, prints its address, and runs until Ctrl-C or SIGTERM."""
    wanted = linked(config.runs)
    with tempfile.TemporaryDirectory(prefix="darts-tf-board-") as folder, _stop_event() as stop:
        links = pathlib.Path(folder)
        refresh(links, wanted)
        with startup.held_stderr():
            address = launch(links, config.host, config.port)
        print(f"{escaped(listed(wanted))}; stop with Ctrl-C\n{address}", flush=True)
        while not stop.wait(REFRESH):
            with contextlib.suppress(InputError):  # a run may have been deleted
                refresh(links, linked(config.runs))
    return 0


def linked(folders: Iterable[pathlib.Path]) -> dict[str, pathlib.Path]:
    """Returns the folders with event files, by the names of runs for TensorBoard.

    Args:
        folders: folders of runs, or with runs somewhere below them.

    Raises:
        InputError: a folder does not exist, or has no event file below it.
    """
    places = {}
    for folder in folders:
        if not folder.is_dir():
            problem = "a file" if folder.exists() else not_there(folder)
            raise InputError(f"Expected the folder of a run. Received: {str(folder)!r}, {problem}")
        top = folder.resolve()
        below = {path.parent for path in top.rglob(EVENTS) if path.is_file()}
        if not below:
            raise InputError(
                "Expected the folder of a run, or with runs in it, that TensorBoard can show. "
                f"Received: {str(folder)!r}, without {files.TENSORBOARD}/"
            )
        for place in sorted(below):
            name = _free(_name(top, place), place, places)
            places[name] = place
    return places


def _name(top: pathlib.Path, place: pathlib.Path) -> str:
    """Returns a run's name, e.g. `search` for `search/tensorboard`."""
    parts = [top.name, *place.relative_to(top).parts]
    kept = [part for part in parts if part != files.TENSORBOARD]
    return "/".join(kept) or top.parent.name


def _free(name: str, place: pathlib.Path, taken: Mapping[str, pathlib.Path]) -> str:
    """Returns the name, with a number appended if it belongs to another folder."""
    number, candidate = 1, name
    while taken.get(candidate, place) != place:
        number += 1
        candidate = f"{name} ({number})"
    return candidate


def refresh(links: pathlib.Path, wanted: Mapping[str, pathlib.Path]) -> None:
    """Updates a folder for every name in `wanted`, with links to the current event files.

    It links files rather than folders, since one run may be in the folder of another.
    """
    for name, place in wanted.items():
        folder = links / name
        folder.mkdir(parents=True, exist_ok=True)
        for link in folder.iterdir():
            if link.is_symlink() and not link.exists():
                link.unlink()
        for path in (*place.glob(EVENTS), *place.glob("plugins")):
            if not (folder / path.name).is_symlink():
                (folder / path.name).symlink_to(path)


def launch(folder: pathlib.Path, host: str, port: int) -> str:
    """Starts TensorBoard in a thread of this process and returns its address.

    Raises:
        InputError: it cannot listen on the host and port.
    """
    # otherwise its plugins import TensorFlow, which takes seconds and prints messages
    sys.modules.setdefault(WITHOUT_TENSORFLOW, types.ModuleType(WITHOUT_TENSORFLOW))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its imports use deprecated functions
        from tensorboard import program

    logging.getLogger("tensorboard").setLevel(logging.ERROR)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    board = program.TensorBoard()
    board.configure(argv=[None, "--logdir", str(folder), "--host", host, "--port", str(port)])
    try:
        return board.launch()
    except (program.TensorBoardServerException, SystemExit) as error:  # it exits on unknown hosts
        raise InputError(
            f"Expected a free port (--port 0 finds one) and an address of this machine. "
            f"Received: --host {host} --port {port} ({first_line(error)})"
        ) from error


@contextlib.contextmanager
def _stop_event():
    """Context manager: yields an event that Ctrl-C and SIGTERM set instead of raising."""
    stop = threading.Event()
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in numbers}
    for number in numbers:
        signal.signal(number, lambda *_: stop.set())
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
