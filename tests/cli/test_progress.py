"""The lines of an epoch, and the time left."""

from __future__ import annotations

import io
import json
import types

import pytest
from rich.console import Console

from darts_tf.cli import output
from darts_tf.cli.progress import EpochProgress, Left, Pace
from darts_tf.spaces.zoo import GENOTYPES, RECURRENT_GENOTYPES


class Clock:
    """A fake clock, which a test advances."""

    now = 100.0

    def __call__(self):
        return self.now

    def steps(self, pace, count, seconds):
        for step in range(count):
            self.now += seconds
            pace.end_step(step)


def test_pace_knows_nothing_before_some_steps_are_measured():
    clock = Clock()
    pace = Pace(3, clock=clock)
    pace.begin_epoch(0, 10)
    assert pace.left() == Left(None, None, 3)
    clock.steps(pace, 5, 60)
    assert pace.left() == Left(None, None, 3)


def test_pace_leaves_out_the_step_that_traces_and_adds_ends_of_epochs():
    clock = Clock()
    pace = Pace(4, clock=clock)
    pace.begin_epoch(0, 10)
    clock.now += 500  # tracing
    clock.steps(pace, 10, 2)
    assert pace.left(done=True) == Left(0, 3 * 20, 4)
    for epoch in (1, 2):
        clock.now += 5  # tests
        pace.begin_epoch(epoch, 10)
        clock.steps(pace, 8, 2)
    assert pace.left() == Left(2 * 2 + 5, 2 * 2 + 5 + (10 * 2 + 5), 4)


def test_pace_looks_no_further_than_where_steps_change():
    clock = Clock()
    pace = Pace(5, 2, clock)
    for epoch, seconds in ((0, 1), (1, 1), (2, 4)):
        pace.begin_epoch(epoch, 10)
        assert (pace.left().run is None) == (epoch in (0, 2))
        clock.steps(pace, 10, seconds)
        expected = {0: (10, 2), 1: (0, 2), 2: (80, 5)}[epoch]
        assert (pace.left(done=True).run, pace.left().until) == expected


def test_pace_of_an_epoch_that_is_resumed_counts_the_steps_that_are_left():
    clock = Clock()
    pace = Pace(1, clock=clock)
    pace.begin_epoch(0, 20)
    for step in range(8, 16):
        clock.now += 3
        pace.end_step(step)
    assert pace.left() == Left(12, 12, 1)


def progressed(run, epochs=3, **options):
    """Returns the output of a progress during `run(progress)`."""
    out = io.StringIO()
    console = Console(file=out, highlight=False, soft_wrap=True, **options)
    with EpochProgress(epochs, run="runs/a", console=console) as progress:
        progress.set_params({"steps": 8})
        run(progress)
    return out.getvalue()


def three_epochs(progress, genotypes=(None,) * 3):
    progress.on_train_begin()
    for epoch, cells in enumerate(genotypes):
        progress.on_epoch_begin(epoch)
        for step in range(8):
            progress.on_train_batch_end(step)
        found = {} if cells is None else {"genotype": str(cells)}
        progress.set_model(types.SimpleNamespace(derived=cells))
        progress.report({"epoch": epoch, "loss": 1.5, "accuracy": 0.25, "seconds": 2.0, **found})


def test_lines_are_plain_where_nobody_watches():
    lines = progressed(three_epochs).splitlines()
    assert lines[0].startswith("tracing the training step")
    assert " s per step, " in lines[1]
    assert " until epoch 3; " in lines[1]
    for number, line in enumerate(lines[2:], 1):
        assert line.startswith(f"epoch   {number}/3  loss 1.5000  accuracy 25.0%  2.0 s  ")
        assert (" left  " in line) == (number < 3)
        assert line.endswith(" GB")
    assert len(lines) == 5
    assert "\x1b" not in "".join(lines)


def test_a_terminal_shows_a_bar_with_the_time_left():
    out = progressed(three_epochs, force_terminal=True, width=120)
    assert "epoch 1/3" in out
    assert "/8 steps" in out
    assert " left, of the run " in out


def test_the_whole_cells_are_told_once_and_then_what_changes():
    names = ("DARTS_V1", "DARTS_V1", "DARTS_V2")
    cells = [GENOTYPES[name] for name in names]
    lines = progressed(lambda progress: three_epochs(progress, cells)).splitlines()
    assert lines[3:5] == str(cells[0]).splitlines()
    assert lines[6] == "cells as before"
    assert lines[8].startswith(
        "5 of 16 edges changed: normal node 3: skip_connect from input 0 -> "
    )
    assert len(lines) == 9


def test_a_second_search_tells_its_cells_anew():
    cells = next(iter(RECURRENT_GENOTYPES.values()))

    def twice(progress):
        three_epochs(progress, [cells])
        three_epochs(progress, [cells])

    assert progressed(twice).count(str(cells)) == 2


@pytest.mark.parametrize("mode", ["quiet", "json"])
@pytest.mark.parametrize("terminal", [True, False])
def test_other_modes_show_no_lines_and_json_has_all_metrics(mode, terminal, capsys):
    cells = [GENOTYPES[name] for name in ("DARTS_V1", "DARTS_V2", "DARTS_V2")]
    output.set_mode(mode)
    try:
        options = {"force_terminal": terminal}
        assert progressed(lambda progress: three_epochs(progress, cells), **options) == ""
    finally:
        output.set_mode("normal")
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    if mode == "quiet":
        assert events == []
        return
    assert [event["event"] for event in events] == ["forecast", *["epoch"] * 3]
    assert {event["run"] for event in events} == {"runs/a"}
    for epoch, event in enumerate(events[1:]):
        assert {"epoch": epoch, "loss": 1.5, "accuracy": 0.25}.items() <= event.items()
        assert event["genotype"] == str(cells[epoch])
        assert event["memory_bytes"] > 1e6
        assert event["epochs"] == 3
        assert (event["seconds_left"] == 0) == (epoch == 2)
    changes = [event["change"] for event in events[1:]]
    assert changes[0] is None
    assert changes[1].startswith("5 of 16")
    assert changes[2] == "cells as before"
