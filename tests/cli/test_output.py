"""Output of the modes, and the lines of an epoch."""

from __future__ import annotations

import json
import pathlib

import numpy as np
import pytest
from rich.table import Table

from darts_tf.cli import output
from darts_tf.cli.jobs import show_table
from darts_tf.cli.progress import EpochProgress
from darts_tf.errors import InputError


@pytest.fixture(params=output.MODES)
def mode(request):
    output.set_mode(request.param)
    yield request.param
    output.set_mode("normal")


def test_each_mode_prints_its_own(mode, capsys):
    output.say("on the way")
    output.result("found")
    output.warn("careful")
    output.event("end", genotype=pathlib.Path("a/b.json"))
    out, err = capsys.readouterr()
    assert err == ""
    if mode == "json":
        events = [json.loads(line) for line in out.splitlines()]
        assert [event.pop("time") > 0 for event in events] == [True, True]
        assert events == [
            {"event": "warning", "text": "careful"},
            {"event": "end", "genotype": "a/b.json"},
        ]
    else:
        on_the_way = ["on the way"] if mode == "normal" else []
        assert out.splitlines() == [*on_the_way, "found", "warning: careful"]


def test_tables_and_styles_are_printed_as_they_are(mode, capsys):
    table = Table("heading")
    table.add_row("[cell]")
    output.result(table)
    output.result("[note] with brackets", "dim")
    out = capsys.readouterr().out
    assert ("heading" in out and "[note] with brackets" in out) == (mode != "json")


def test_control_characters_are_printed_as_text(mode, capsys):
    table = [["method", "n"], ["\x1b[2Jcat", "1"]]
    output.say("dog\x1b[31m.png\nsecond line")
    output.result("title \x1b]0;owned\x07", "dim")
    output.warn("left out \udce9.png")
    show_table(table, ["\x9b1m"])
    EpochProgress(3)._say("gpj.\u202ecat")
    out, _ = capsys.readouterr()
    assert not [character for character in out if not character.isprintable() and character != "\n"]
    if mode == "normal":
        assert "dog\\x1b[31m.png\nsecond line\n" in out
        assert "\\x1b[2Jcat" in out


def test_event_is_one_line_of_strict_json_whatever_it_holds(mode, capsys):
    fields = {"loss": np.float32("nan"), "cells": (("a", np.int64(1)),), "text": "two\nlines"}
    output.event("epoch", **fields)
    out = capsys.readouterr().out
    if mode != "json":
        assert out == ""
        return
    (line,) = out.splitlines()
    found = json.loads(line, parse_constant=pytest.fail)
    assert (found["loss"], found["cells"], found["text"]) == (None, [["a", 1]], "two\nlines")


def test_what_others_print_is_kept_from_the_events(mode, capsys):
    with output.reserved():
        print("a library's chatter")
        output.event("end")
        output.result("found")
    out, err = capsys.readouterr()
    if mode == "json":
        assert json.loads(out)["event"] == "end"
        assert err == "a library's chatter\n"
    else:
        assert (out, err) == ("a library's chatter\nfound\n", "")


def test_unknown_mode_is_refused():
    with pytest.raises(InputError, match="Expected mode to be"):
        output.set_mode("loud")
    assert output.mode() == "normal"
