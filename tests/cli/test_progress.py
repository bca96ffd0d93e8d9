"""The lines of an epoch, and the time left."""

from __future__ import annotations

import io
import json
import time
import types

import pytest
from rich.console import Console

from darts_tf.cli import output
from darts_tf.cli import progress as cli_progress
from darts_tf.cli.progress import EpochProgress, Left, Pace, signs_of_life
from darts_tf.spaces.zoo import GENOTYPES, RECURRENT_GENOTYPES


@pytest.fixture(autouse=True)
def no_legend_shown(monkeypatch):
    """A process that has printed no legend yet."""
    monkeypatch.setattr(cli_progress, "_SHOWN", set())


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


def test_pace_measures_no_steps_of_the_warm_up():
    """Quick steps, then one that is traced for long, then slow ones, of which forecasts consist."""
    clock = Clock()
    pace = Pace(2, clock=clock, warmup=4)
    pace.begin_epoch(0, 20)
    for step, seconds in enumerate([1] * 4 + [300] + [5] * 6):
        clock.now += seconds
        pace.end_step(step)
    assert pace.step_seconds == 5
    assert pace.left() == Left(9 * 5, 9 * 5 + 20 * 5, 2)


def progressed(run, epochs=3, warmup=0, **options):
    """Returns the output of a progress during `run(progress)`."""
    out = io.StringIO()
    console = Console(file=out, highlight=False, soft_wrap=True, **options)
    with EpochProgress(epochs, run="runs/a", console=console, warmup=warmup) as progress:
        progress.set_params({"steps": 8})
        run(progress)
    return out.getvalue()


def three_epochs(progress, genotypes=(None,) * 3):
    progress.on_train_begin()
    for epoch, cells in enumerate(genotypes):
        progress.on_epoch_begin(epoch)
        for step in range(8):
            progress.on_train_batch_begin(step)
            progress.on_train_batch_end(step)
        found = {} if cells is None else {"genotype": str(cells)}
        progress.set_model(types.SimpleNamespace(derived=cells))
        progress.report({"epoch": epoch, "loss": 1.5, "accuracy": 0.25, "seconds": 2.0, **found})


def test_step_after_the_first_warm_up_is_announced():
    lines = progressed(three_epochs, warmup=2).splitlines()
    assert lines[1] == "tracing the step that updates the alphas"
    assert sum(line.startswith("tracing") for line in lines) == 2


def test_lines_are_plain_where_nobody_watches():
    lines = progressed(three_epochs).splitlines()
    assert lines[0].startswith("tracing the training step")
    assert " s per step, " in lines[1]
    assert " until epoch 3; " in lines[1]
    assert lines[3].startswith("accuracy: on the training images")
    assert lines[5].split() == ["epoch", "loss", "accuracy", "time", "memory", "left"]
    for number, line in enumerate(lines[6:], 1):
        assert line.split()[:5] == [f"{number}/3", "1.5000", "25.0%", "2.0", "s"]
        assert line.split()[6] == "GB"
        assert len(line.split()) == (9 if number < 3 else 7)  # the last has no time left
    assert len(lines) == 9
    assert "\x1b" not in "".join(lines)


OF_SEARCH = {
    **{"epoch": 0, "loss": 12.5, "accuracy": 1.0, "arch_loss": 12.25, "valid_accuracy": 1.0},
    **{"eigenvalue": 123.456, "skips_normal": 8, "discretisation_gap": 0.5, "seconds": 1234.5},
}
OF_TRAINING = {
    **{"epoch": 0, "loss": 12.5, "accuracy": 1.0, "test_accuracy": 1.0, "seconds": 1234.5},
    "test_top5_accuracy": 1.0,
}
OF_TEXT = {
    **{"epoch": 0, "loss": 12.5, "perplexity": 12345.67, "arch_loss": 12.25, "seconds": 1234.5},
    **{"valid_perplexity": 12345.67, "eigenvalue": 123.456},
}


@pytest.mark.parametrize("metrics", [OF_SEARCH, OF_TRAINING, OF_TEXT])
def test_rows_and_legend_fit_in_80_columns(metrics):
    def report(progress):
        progress.on_train_begin()
        progress.on_epoch_begin(0)
        for step in range(8):
            progress.on_train_batch_end(step)
        progress.set_model(types.SimpleNamespace(derived=GENOTYPES["DARTS_V2"]))
        progress.report(metrics)

    lines = progressed(report, epochs=600).splitlines()[2:]
    assert max(map(len, lines)) <= 80
    heads, row = lines[-2:]
    assert heads.split()[0] == "epoch"
    assert row.split()[0] == "1/600"


def test_headings_are_repeated_only_when_the_columns_change():
    def report(progress):
        progress.set_model(types.SimpleNamespace())
        progress.on_train_begin()
        for epoch in range(4):
            progress.on_epoch_begin(epoch)
            progress.on_train_batch_end(0)
            arch = {"arch_loss": 2.0} if epoch > 1 else {}
            progress.report({"epoch": epoch, "loss": 1.0, **arch})

    lines = progressed(report, epochs=4).splitlines()
    heads = [line.split()[:3] for line in lines if line.startswith("epoch")]
    assert heads == [["epoch", "loss", "memory"], ["epoch", "loss", "arch"]]


def test_slow_work_shows_signs_of_life_until_it_ends():
    said = []
    with signs_of_life("tracing", said.append, every=0.01):
        while len(said) < 2:
            time.sleep(0.005)
    count = len(said)
    assert said[0].startswith("still tracing, for ")
    time.sleep(0.05)
    assert len(said) == count


def test_pace_is_smoothed_over_epochs():
    clock = Clock()
    pace = Pace(10, clock=clock)
    for epoch, seconds in enumerate((1, 1, 1, 3)):
        pace.begin_epoch(epoch, 10)
        clock.steps(pace, 10, seconds)
    assert pace.left(done=True).run == 6 * 10 * 1.5


def test_a_terminal_shows_a_bar_with_the_time_left():
    out = progressed(three_epochs, force_terminal=True, width=120)
    assert "epoch 1/3" in out
    assert "/8 steps" in out
    assert " left, of the run " in out


def test_what_changes_in_the_cells_is_a_short_line():
    names = ("DARTS_V1", "DARTS_V1", "DARTS_V2")
    cells = [GENOTYPES[name] for name in names]
    lines = progressed(lambda progress: three_epochs(progress, cells)).splitlines()
    start = next(place for place, line in enumerate(lines) if line.startswith("epoch"))
    assert [line.split()[0] for line in lines[start:-1]] == ["epoch", "1/3", "2/3", "cells", "3/3"]
    changed = "5 of 16 edges changed: normal cell, nodes 3, 5; reduction cell, nodes 3, 5"
    assert lines[-1] == f"  {changed}"


def test_a_second_search_compares_its_cells_with_none_and_has_no_second_legend():
    cells = list(RECURRENT_GENOTYPES.values())[:2]

    def twice(progress):
        three_epochs(progress, cells[:1])
        three_epochs(progress, cells[1:])

    shown = progressed(twice)
    assert shown.count("edges changed") == 0
    assert shown.count("accuracy: ") == 1


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
