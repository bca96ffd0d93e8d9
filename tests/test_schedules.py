"""Learning rates against closed forms and the recursions of other programs."""

from __future__ import annotations

import numpy as np
import pytest

from darts_tf.configs import TrainConfig
from darts_tf.schedules import cosine, rate_at


def rates(steps=1, **settings):
    """The rates of all steps of a run."""
    config = TrainConfig(workdir="unused", genotype="DARTS_V2", **settings)
    places = ((epoch, step) for epoch in range(config.epochs) for step in range(steps))
    return [rate_at(config, epoch, step, steps) for epoch, step in places]


def test_cosine_starts_at_the_first_rate_and_heads_for_the_last():
    assert cosine(0, 50, 0.025, 0.001) == 0.025
    assert cosine(25, 50, 0.025, 0.001) == pytest.approx(0.013)
    assert cosine(50, 50, 0.025, 0.001) == pytest.approx(0.001)


def test_cosine_follows_the_recursion_of_the_reference_schedule():
    """PyTorch's chainable form: a different formula for the same values."""
    start, end, epochs = 0.025, 0.001, 50
    rate = start
    for epoch in range(1, epochs):
        ratio = (1 + np.cos(np.pi * epoch / epochs)) / (1 + np.cos(np.pi * (epoch - 1) / epochs))
        rate = ratio * (rate - end) + end
        assert cosine(epoch, epochs, start, end) == pytest.approx(rate, rel=1e-9)


def test_exponential_rate_loses_its_share_every_epoch():
    found = rates(epochs=250, learning_rate=0.1, schedule="exponential")
    assert found == pytest.approx([0.1 * 0.97**epoch for epoch in range(250)])
    floor = rates(epochs=9, learning_rate=0.1, schedule="exponential", learning_rate_min=0.09)
    assert floor == pytest.approx([0.1, 0.097, 0.09409, 0.0912673, *[0.09] * 5])


def test_linear_rate_with_warm_up():
    found = rates(epochs=10, learning_rate=0.5, schedule="linear", warmup_epochs=5)
    line = [0.5 * (1 - epoch / 10) for epoch in range(10)]
    warm = [1 / 5, 2 / 5, 3 / 5, 4 / 5, 1, 1, 1, 1, 1, 1]
    assert found == pytest.approx(np.multiply(line, warm))


def test_rate_of_every_step_lies_on_the_same_curve():
    by_step = rates(steps=4, epochs=6, schedule_per="step")
    assert by_step[::4] == pytest.approx(rates(epochs=6))
    assert np.all(np.diff(by_step) < 0)
    assert rates(steps=4, epochs=6) == pytest.approx(np.repeat(rates(epochs=6), 4))
    warm = rates(steps=4, epochs=6, schedule_per="step", warmup_epochs=2)
    assert warm == pytest.approx(np.minimum(np.arange(1, 25) / 8, 1) * by_step)
