"""Signs of life of workers, as files that change, so that a chief does not wait for dead ones."""

from __future__ import annotations

import contextlib
import os
import pathlib
import threading
import time
from collections.abc import Callable, Collection, Iterator

BEAT = 5.0
"""Seconds between two signs of life."""
LOST = 60.0
"""Seconds without any, by the clock of who waits, after which a worker counts as lost."""


@contextlib.contextmanager
def beating(folder: pathlib.Path, name: str) -> Iterator[None]:
    """Within this block a worker shows that it lives.

    Args:
        folder: that all share.
        name: of the worker.
    """
    path, over = folder / f"{name}.alive", threading.Event()

    def beat():
        count = 0
        while not over.is_set():
            with contextlib.suppress(OSError):  # a disk that is away for a while
                path.write_text(f"{os.getpid()} {count}")
            count += 1
            over.wait(BEAT)

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def watching(
    folder: pathlib.Path, names: Callable[[], Collection[str]], lost: Callable[[str], None]
) -> Iterator[None]:
    """Within this block workers are missed.

    Args:
        folder: that all share.
        names: gives the workers that there should be.
        lost: called with the name of one that has shown no sign of life for `LOST` seconds.
    """
    over, seen = threading.Event(), {}

    def look():
        while not over.wait(BEAT):
            for name in list(names()):
                sign = _sign(folder / f"{name}.alive")
                if name not in seen or seen[name][0] != sign:
                    seen[name] = sign, time.monotonic()
                elif time.monotonic() - seen[name][1] > LOST:
                    del seen[name]
                    lost(name)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _sign(path: pathlib.Path) -> str | None:
    try:
        return path.read_text()
    except OSError:
        return None
