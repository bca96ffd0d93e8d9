"""Several processes of one program on this host, which find each other by TF_CONFIG.

The first of them writes to the terminal, the others into files. Signals are passed on to all, one
that fails takes the others with it, and none outlives the launch.
"""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import functools
import itertools
import json
import os
import pathlib
import queue
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence

GRACE = 20.0
"""Seconds that workers have to end by themselves once one of them has failed."""

PORTS = range(15_000, 30_000)
"""Where workers listen: below the ports that systems give to outgoing connections, or a worker's
attempt to reach another could take the port of a third."""

PASSED_ON = {
    signal.SIGINT: signal.SIGINT,
    signal.SIGTERM: signal.SIGTERM,
    signal.SIGHUP: signal.SIGTERM,  # the terminal went away: workers know how to end on SIGTERM
}
"""What workers get for the signals that we get."""

_PR_SET_PDEATHSIG = 1  # of linux/prctl.h


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How the workers ended."""

    status: int = 0
    """0, or the exit status of the worker that failed first: 128 and the signal's number if one
    killed it."""
    worker: int | None = None
    """The worker that failed first."""
    signals: tuple[int, ...] = ()
    """The signals that were passed on."""


def launch(
    command: Sequence[str],
    workers: int,
    logs: str | os.PathLike[str],
    *,
    grace: float = GRACE,
) -> Outcome:
    """Runs a command in several processes and waits for all of them.

    SIGINT and SIGTERM go on to all workers, SIGHUP as SIGTERM, and they may take their time then; a
    second SIGINT kills them. When a worker fails, the others get SIGTERM, and after `grace`
    SIGKILL. On Linux they are killed even when this process is.

    Call it in the main thread, as only there signals can be taken.

    Args:
        command: the program and its words.
        workers: how many processes; TF_CONFIG names them all to each.
        logs: a folder for the output of all workers but the first: `worker-1.log` and so on.
        grace: in seconds.

    Raises:
        OSError: a process cannot be started or a log cannot be written; no worker is left.
    """
    watch = _Watch(grace)
    with _signals_to(watch):
        try:
            for rank, environment in enumerate(environments(workers)):
                log = pathlib.Path(logs) / f"worker-{rank}.log" if rank else None
                watch.processes.append(_start(command, environment, log))
            return watch.until_all_ended()
        finally:
            watch.kill()


def environments(workers: int) -> list[dict[str, str]]:
    """The environment of every worker: this process' own, and TF_CONFIG."""
    cluster = {"worker": [f"127.0.0.1:{port}" for port in free_ports(workers)]}
    tasks = [{"type": "worker", "index": rank} for rank in range(workers)]
    return [
        {
            **os.environ,
            "TF_CONFIG": json.dumps({"cluster": cluster, "task": task}),
            "PYTHONUNBUFFERED": "1",  # the last lines of a worker that is killed are in its log
        }
        for task in tasks
    ]


def free_ports(count: int) -> list[int]:
    """So many different ports of this host that nobody listens on.

    Raises:
        OSError: there are fewer.
    """
    found = list(itertools.islice(filter(_is_free, random.sample(PORTS, len(PORTS))), count))
    if len(found) < count:
        raise OSError(f"only {len(found)} of {count} ports are free from {PORTS[0]} to {PORTS[-1]}")
    return found


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("", port))  # TensorFlow listens on all addresses
        except OSError:
            return False
    return True


def _start(command, environment, log: pathlib.Path | None) -> subprocess.Popen:
    if log is None:
        return _process(command, environment)
    with open(log, "wb") as file:
        return _process(command, environment, stdout=file, stderr=subprocess.STDOUT)


def _process(command, environment, **output) -> subprocess.Popen:
    return subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C reaches workers through us alone, and so once
        preexec_fn=_tie(os.getpid()),
        **output,
    )


def _tie(parent: int) -> Callable[[], None] | None:
    """What a new process does before it runs its command, so that it ends when its parent does."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl  # found now: between fork and exec little is safe

    def tie():
        prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))
        if os.getppid() != parent:  # which ended before that
            os._exit(1)

    return tie


class _Watch:
    """Waits for processes, and does what their ends and our signals ask for, one at a time.

    Whatever happens is a call in `events`: threads that wait for the processes and the handlers of
    signals only put it there, and `until_all_ended` makes it.
    """

    def __init__(self, grace: float):
        self.grace = grace
        self.processes: list[subprocess.Popen] = []
        self.ended = 0
        self.events = queue.SimpleQueue()  # its `put` may be called by a handler
        self.outcome = Outcome()
        self.kill_at = None

    def until_all_ended(self) -> Outcome:
        """Returns when the last process has ended."""
        for rank in range(len(self.processes)):
            threading.Thread(target=self._wait, args=(rank,), daemon=True).start()
        while self.ended < len(self.processes):
            left = None if self.kill_at is None else max(0.0, self.kill_at - time.monotonic())
            try:
                event = self.events.get(timeout=left)
            except queue.Empty:
                self.kill_at = None
                event = self.kill
            event()
        return self.outcome

    def _wait(self, rank: int) -> None:
        process = self.processes[rank]
        status = process.wait()
        _kill_group(process)  # what the worker has left behind
        self.events.put(functools.partial(self._ended, rank, status))

    def _ended(self, rank: int, status: int) -> None:
        self.ended += 1
        if status == 0 or self.outcome.worker is not None:
            return
        status = status if status > 0 else 128 - status
        self.outcome = dataclasses.replace(self.outcome, status=status, worker=rank)
        if not self.outcome.signals:  # else all are ending, and may be saving what they have
            self._pass_on(signal.SIGTERM)
            self.kill_at = time.monotonic() + self.grace

    def signalled(self, number: int) -> None:
        """Passes a signal on; the second SIGINT kills."""
        before = self.outcome.signals
        self.outcome = dataclasses.replace(self.outcome, signals=(*before, number))
        if number == signal.SIGINT and number in before:
            self.kill()
        else:
            self._pass_on(number)

    def _pass_on(self, number: int) -> None:
        for process in self.processes:
            process.send_signal(number)  # does nothing once it has ended

    def kill(self) -> None:
        """Ends all processes that are left, and what they have started."""
        left = [process for process in self.processes if process.returncode is None]
        for process in left:
            _kill_group(process)
        for process in left:
            process.wait()


def _kill_group(process: subprocess.Popen) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS: not of the dead
        os.killpg(process.pid, signal.SIGKILL)


@contextlib.contextmanager
def _signals_to(watch: _Watch) -> Iterator[None]:
    """Lets signals become events, except those that this process was started to ignore."""
    before = {number: signal.getsignal(number) for number in PASSED_ON}
    taken = {number: old for number, old in before.items() if old is not signal.SIG_IGN}
    for number in taken:
        event = functools.partial(watch.signalled, PASSED_ON[number])
        signal.signal(number, lambda number, frame, event=event: watch.events.put(event))
    try:
        yield
    finally:
        for number, old in taken.items():
            signal.signal(number, old)
