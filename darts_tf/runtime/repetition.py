"""Actions that a thread repeats while other work goes on."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def repeated(action: Callable[[], object], every: float) -> Iterator[None]:
    """Context manager: calls a function again and again in another thread; not once it ends.

    Args:
        action: the function.
        every: seconds before each call.
    """
    over = threading.Event()

    def repeat():
        while not over.wait(every):
            action()

    thread = threading.Thread(target=repeat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
