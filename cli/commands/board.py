"""`darts-tf board`: TensorBoard on a run or on many."""

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
from darts_tf.errors import InputError, first_line, listed
from darts_tf.runs import files

REFRESH = 5
"""Seconds between two looks for runs that have begun since."""

WITHOUT_TENSORFLOW = "tensorboard.compat.notf"
"""Where a module of this name is, TensorBoard uses its own stub of TensorFlow."""

EVENTS = "*tfevents*"
"""Names of event files."""


def run(config: BoardConfig) -> int:
    """Shows what there is, prints the address, and stays until Ctrl-C or SIGTERM."""
    wanted = linked(config.runs)
    with tempfile.TemporaryDirectory(prefix="darts-tf-board-") as folder, _until_asked() as asked:
        links = pathlib.Path(folder)
        refresh(links, wanted)
        with startup.held_stderr():
            address = launch(links, config.host, config.port)
        print(f"{listed(wanted)}; Ctrl-C ends it\n{address}", flush=True)
        while not asked.wait(REFRESH):
            with contextlib.suppress(InputError):  # a run may be deleted meanwhile
                refresh(links, linked(config.runs))
    return 0


def linked(folders: Iterable[pathlib.Path]) -> dict[str, pathlib.Path]:
    """The folders with event files, by what TensorBoard is to call them: the runs' names.

    Args:
        folders: of runs, or with runs somewhere below.

    Raises:
        InputError: one is not there, or has no event file below it.
    """
    found = {}
    for folder in folders:
        if not folder.is_dir():
            raise InputError(f"Expected the folder of a run. Received: {str(folder)!r}, not there")
        top = folder.resolve()
        below = {path.parent for path in top.rglob(EVENTS) if path.is_file()}
        if not below:
            raise InputError(
                "Expected the folder of a run, or with runs in it, that TensorBoard can show. "
                f"Received: {str(folder)!r}, without {files.TENSORBOARD}/"
            )
        for place in sorted(below):
            name = _free(_name(top, place), place, found)
            found[name] = place
    return found


def _name(top: pathlib.Path, place: pathlib.Path) -> str:
    """As in `search` for `search/tensorboard`, and `protocol/search/seed-0` for what is below."""
    parts = [top.name, *place.relative_to(top).parts]
    kept = [part for part in parts if part != files.TENSORBOARD]
    return "/".join(kept) or top.parent.name


def _free(name: str, place: pathlib.Path, taken: Mapping[str, pathlib.Path]) -> str:
    """The name, or one with a number where it stands for another folder."""
    number, found = 1, name
    while taken.get(found, place) != place:
        number += 1
        found = f"{name} ({number})"
    return found


def refresh(links: pathlib.Path, wanted: Mapping[str, pathlib.Path]) -> None:
    """Makes a folder of every name in `wanted`, with links to the files of its place as they are.

    It has links to files, since one run may be in the folder of another.
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
    """Starts TensorBoard in a thread of this process; gives its address.

    Raises:
        InputError: it cannot listen there.
    """
    # its plugins would else import TensorFlow, for seconds and with its chatter, to read settings
    sys.modules.setdefault(WITHOUT_TENSORFLOW, types.ModuleType(WITHOUT_TENSORFLOW))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what its imports have deprecated
        from tensorboard import program

    logging.getLogger("tensorboard").setLevel(logging.ERROR)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    board = program.TensorBoard()
    board.configure(argv=[None, "--logdir", str(folder), "--host", host, "--port", str(port)])
    try:
        return board.launch()
    except (program.TensorBoardServerException, SystemExit) as error:  # as it ends where no host is
        raise InputError(
            f"Expected a port that is free, as --port 0 finds one, and an address of this machine. "
            f"Received: --host {host} --port {port} ({first_line(error)})"
        ) from error


@contextlib.contextmanager
def _until_asked():
    """Within this block Ctrl-C and SIGTERM set the event that it yields, and nothing else."""
    asked = threading.Event()
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in numbers}
    for number in numbers:
        signal.signal(number, lambda *given: asked.set())
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
