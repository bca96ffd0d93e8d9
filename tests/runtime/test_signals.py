"""Signals that end a run: noted, not lost, and harmless where the terminal is gone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from darts_tf.runtime.signals import ASKED, deferred


@pytest.fixture
def default_hangup():
    """Sets the default action of SIGHUP, which `nohup` around the tests would change."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("default_hangup")
@pytest.mark.parametrize("number", ASKED)
def test_signal_is_noted_and_the_handler_restored(number):
    before = signal.getsignal(number)
    with deferred() as signals:
        assert signals.received is None
        signal.raise_signal(number)
        assert signals.received == number
    assert signal.getsignal(number) == before


@pytest.mark.usefixtures("default_hangup")
@pytest.mark.parametrize("first", [signal.SIGHUP, signal.SIGTERM])
def test_hangup_never_ends_the_process_before_it_has_saved(first):
    """A login that ends sends SIGHUP from the shell and from the system, or after a SIGTERM."""
    with deferred() as signals:
        for number in (first, signal.SIGHUP, signal.SIGHUP):
            signal.raise_signal(number)
        assert signals.received == first


@pytest.mark.usefixtures("default_hangup")
def test_ignored_hangup_stays_ignored():
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with deferred() as signals:
        signal.raise_signal(signal.SIGHUP)
        assert signals.received is None
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


ON_A_TERMINAL = """
import pathlib, signal, sys, time
from darts_tf.runtime.signals import deferred
signal.signal(signal.SIGHUP, signal.SIG_DFL)
with deferred() as signals:
    print("ready", flush=True)
    until = time.monotonic() + 60
    while signals.received is None and time.monotonic() < until:
        time.sleep(0.01)
    print("an epoch's line", flush=True)
    pathlib.Path(sys.argv[1]).write_text(str(int(signals.received)))
"""


def test_output_to_a_terminal_that_is_gone_does_not_keep_a_run_from_saving(tmp_path):
    terminal, end = os.openpty()
    command = [sys.executable, "-c", ON_A_TERMINAL, str(tmp_path / "saved")]
    process = subprocess.Popen(command, stdout=end, stderr=subprocess.PIPE)
    os.close(end)
    assert os.read(terminal, 5) == b"ready"
    os.close(terminal)
    process.send_signal(signal.SIGHUP)
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, b"")
    assert (tmp_path / "saved").read_text() == str(int(signal.SIGHUP))
