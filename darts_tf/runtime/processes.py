"""Launch of several processes of one program on this host, connected by TF_CONFIG.

The first process writes to the terminal, the others to files. Signals are forwarded to all
processes. If one fails, the others are ended, and none outlives the launch.
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
"""Seconds that workers have to exit by themselves after one of them has failed."""

PORTS = range(15_000, 30_000)
"""Ports for workers to listen on. They are below those that systems assign to outgoing connections:
otherwise a worker that connects to another could occupy the port of a third."""

PASSED_ON = {
    signal.SIGINT: signal.SIGINT,
    signal.SIGTERM: signal.SIGTERM,
    signal.SIGHUP: signal.SIGTERM,  # the terminal was closed: workers exit cleanly on SIGTERM
}
"""Signals sent to workers, by the signal received."""

_PR_SET_PDEATHSIG = 1  # of linux/prctl.h


@dataclasses.dataclass(frozen=True)
class Outcome:
    """Outcome of a launch."""

    status: int = 0
    """0, or the exit status of the worker that failed first: 128 plus the signal's number if it was
    killed by a signal."""
    worker: int | None = None
    """Index of the worker that failed first; None if all succeeded."""
    signals: tuple[int, ...] = ()
    """Signals that were forwarded to the workers, in order."""


def launch(
    command: Sequence[str],
    workers: int,
    logs: str | os.PathLike[str],
    *,
    grace: float = GRACE,
) -> Outcome:
    """Runs a command in several processes and waits for all of them.

    SIGINT and SIGTERM are forwarded to all workers, SIGHUP as SIGTERM. Workers then have no time
    limit; a second SIGINT kills them. When a worker fails, the others get SIGTERM, and SIGKILL
    after `grace` seconds. On Linux workers are also killed if this process is killed.

    Must be called in the main thread, because only there signal handlers can be set.

    Args:
        command: the program and its arguments.
        workers: number of processes; TF_CONFIG lists all of them.
        logs: folder for the output of all workers but the first: `worker-1.log` and so on.
        grace: seconds between SIGTERM and SIGKILL after a failure.

    Raises:
        OSError: a process cannot be started or a log cannot be written; no worker keeps running.
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
    """Returns the environment of every worker: that of this process, with TF_CONFIG."""
    cluster = {"worker": [f"127.0.0.1:{port}" for port in free_ports(workers)]}
    tasks = [{"type": "worker", "index": rank} for rank in range(workers)]
    return [
        {
            **os.environ,
            "TF_CONFIG": json.dumps({"cluster": cluster, "task": task}),
            "PYTHONUNBUFFERED": "1",  # so that the log has the last lines of a killed worker
        }
        for task in tasks
    ]


def free_ports(count: int) -> list[int]:
    """Returns `count` different free ports of this host.

    Raises:
        OSError: fewer ports are free.
    """
    free = list(itertools.islice(filter(_is_free, random.sample(PORTS, len(PORTS))), count))
    if len(free) < count:
        raise OSError(f"only {len(free)} of {count} ports are free from {PORTS[0]} to {PORTS[-1]}")
    return free


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
        start_new_session=True,  # so that workers get Ctrl-C once, from this process only
        preexec_fn=_tie(os.getpid()),
        **output,
    )


def _tie(parent: int) -> Callable[[], None] | None:
    """Returns a function for a new process that ties its life to its parent; None if not Linux."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl  # looked up now: between fork and exec little is safe

    def tie():
        prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))
        if os.getppid() != parent:  # the parent ended before the call of prctl
            os._exit(1)

    return tie


class _Watch:
    """Event loop that waits for processes and reacts to their exits and to signals, one at a time.

    An event is a function in the queue `events`. Signal handlers and the threads that wait for the
    processes only add events; `until_all_ended` calls them.
    """

    def __init__(self, grace: float):
        self.grace = grace
        self.processes: list[subprocess.Popen] = []
        self.ended = 0
        self.events = queue.SimpleQueue()  # its `put` is reentrant, as signal handlers need
        self.outcome = Outcome()
        self.kill_at = None

    def until_all_ended(self) -> Outcome:
        """Waits until the last process has exited; returns the outcome."""
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
        _kill_group(process)  # processes that the worker has started and not ended
        self.events.put(functools.partial(self._ended, rank, status))

    def _ended(self, rank: int, status: int) -> None:
        self.ended += 1
        if status == 0 or self.outcome.worker is not None:
            return
        status = status if status > 0 else 128 - status
        self.outcome = dataclasses.replace(self.outcome, status=status, worker=rank)
        if not self.outcome.signals:  # else all are exiting already, and may be saving their state
            self._pass_on(signal.SIGTERM)
            self.kill_at = time.monotonic() + self.grace

    def signalled(self, number: int) -> None:
        """Forwards a signal to all processes; kills them at the second SIGINT."""
        before = self.outcome.signals
        self.outcome = dataclasses.replace(self.outcome, signals=(*before, number))
        if number == signal.SIGINT and number in before:
            self.kill()
        else:
            self._pass_on(number)

    def _pass_on(self, number: int) -> None:
        for process in self.processes:
            process.send_signal(number)  # does nothing if the process has exited

    def kill(self) -> None:
        """Kills all remaining processes and their child processes."""
        left = [process for process in self.processes if process.returncode is None]
        for process in left:
            _kill_group(process)
        for process in left:
            process.wait()


def _kill_group(process: subprocess.Popen) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS denies dead groups
        os.killpg(process.pid, signal.SIGKILL)


@contextlib.contextmanager
def _signals_to(watch: _Watch) -> Iterator[None]:
    """Context manager: turns signals into events, except those that this process ignores."""
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
