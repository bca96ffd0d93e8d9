"""Values that hold within a block, in one thread."""

from __future__ import annotations

import pathlib
import threading

import pytest

import darts_tf
from darts_tf.runtime import switches
from darts_tf.runtime.switches import Switch

PACKAGE = pathlib.Path(darts_tf.__file__).parent


def in_a_thread(function):
    """What the function gives in a thread of its own."""
    results = []
    thread = threading.Thread(target=lambda: results.append(function()))
    thread.start()
    thread.join()
    return results[0]


def test_value_holds_within_blocks_and_the_one_before_comes_back():
    switch = Switch("default")
    with switch.hold("outer"):
        with switch.hold("inner"):
            assert switch.value == "inner"
        assert switch.value == "outer"
    assert switch.value == "default"


def test_value_comes_back_after_an_error():
    switch = Switch(1)
    with pytest.raises(KeyError), switch.hold(2):
        raise KeyError
    assert switch.value == 1


def test_block_changes_nothing_before_it_is_entered():
    switch = Switch(1)
    block = switch.hold(2)
    assert switch.value == 1
    with block:
        assert switch.value == 2


def test_other_threads_have_the_default_and_values_of_their_own():
    switch = Switch(1)

    def held():
        before = switch.value
        with switch.hold(3):
            return before, switch.value

    with switch.hold(2):
        assert in_a_thread(held) == (1, 3)
        assert switch.value == 2


def test_switches_do_not_share_a_value():
    one, other = Switch(1), Switch(2)
    with one.hold(3):
        assert (one.value, other.value) == (3, 2)
        assert in_a_thread(lambda: (one.value, other.value)) == (1, 2)


def test_no_other_module_keeps_values_of_threads():
    files = [
        path for folder in ("", "../export", "../cli") for path in (PACKAGE / folder).rglob("*.py")
    ]
    with_locals = {
        path.resolve() for path in files if "threading.local" in path.read_text(encoding="utf-8")
    }
    assert with_locals == {pathlib.Path(switches.__file__).resolve()}
