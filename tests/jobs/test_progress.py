"""Progress in terminals and notebooks, and silence."""

from __future__ import annotations

import pytest

from darts_tf.errors import InputError
from darts_tf.jobs.progress import Lines, level_of

LOGS = {"loss": 1.5, "val_accuracy": 0.25, "gradient_norm": 3.0, "skips_normal": 2.0}


def run(verbose, held_out="valid") -> None:
    """Calls the callbacks as a run of two epochs of three steps does."""
    say = Lines(verbose)
    say("a line")
    for callback in say.callbacks(held_out):
        callback.on_train_begin()
        for epoch in range(2):
            callback.set_params({"epochs": 2, "steps": 3, "verbose": 0})
            callback.on_epoch_begin(epoch)
            for step in range(3):
                callback.on_train_batch_end(step)
            callback.on_epoch_end(epoch, LOGS)


@pytest.mark.parametrize("verbose", ["auto", 1])
def test_bars_show_steps_and_the_quality_of_epochs(verbose, capsys):
    run(verbose, "test")
    printed = capsys.readouterr().out
    for words in ("a line\n", "tracing", "Epoch 2/2", "3/3", "loss: 1.5", "test_accuracy: 0.25"):
        assert words in printed
    for hidden in ("gradient_norm", "skips", "val_accuracy"):
        assert hidden not in printed


def test_lines_are_one_an_epoch(capsys):
    run(2)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("3/3")]
    assert len(lines) == 2
    assert all("valid_accuracy: 0.25" in line for line in lines)


def test_silence_on_request(capsys):
    run(0)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("verbose", [3, "loud", None])
def test_other_levels_are_refused(verbose):
    with pytest.raises(InputError, match="'auto', 0, 1 or 2. Received: "):
        level_of(verbose)
