"""Launches in separate processes, with tiny programs as workers.

A launch handles signals and starts processes, which must not happen in the process of the tests.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import subprocess
import sys
import time

import psutil

ROOT = pathlib.Path(__file__).resolve().parents[2]
SOON = 20
"""Time limit of everything here, seconds, on a busy machine."""

WORKER = """
import json, os, pathlib, signal, subprocess, sys, time
rank = json.loads(os.environ["TF_CONFIG"])["task"]["index"]
def ready():
    pathlib.Path(f"part-{rank}").write_text(str(os.getpid()))
    os.rename(f"part-{rank}", f"ready-{rank}")
def on_signal(does):
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, does)
def deaf():
    on_signal(signal.SIG_IGN)
    ready()
    time.sleep(60)
def obedient(status, after=0.0):
    def end(number, frame):
        time.sleep(after)
        print("told", number)
        sys.exit(status)
    on_signal(end)
    ready()
    time.sleep(60)
"""


@contextlib.contextmanager
def starting(folder):
    """Context manager: yields a function that starts a program with code for workers."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(folder)}
    (folder / "logs").mkdir()
    processes = []

    def start(program, code, *words):
        process = subprocess.Popen(
            [sys.executable, "-c", program, WORKER + code, *map(str, words)],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        return process

    try:
        yield start
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def pids(folder, workers=3):
    """Returns the workers' process ids when all of them are ready."""
    files = [folder / f"ready-{rank}" for rank in range(workers)]
    assert becomes(lambda: all(file.exists() for file in files))
    return [int(file.read_text()) for file in files]


def becomes(condition) -> bool:
    end = time.monotonic() + SOON
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    return condition()


def runs(pid) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def ended(process) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=SOON)
    return process.returncode, out, err
