"""Learning rates compared with closed forms and other programs' recursions."""

from __future__ import annotations

import numpy as np
import pytest

from darts_tf.configs import SearchConfig, TrainConfig
from darts_tf.training import schedules
from darts_tf.training.schedules import cosine, rate_at


def rates(steps=1, **settings):
    """Returns the rates of all steps of a run."""
    config = TrainConfig(workdir="unused", genotype="DARTS_V2", **settings)
    places = ((epoch, step) for epoch in range(config.epochs) for step in range(steps))
    return [rate_at(config, epoch, step, steps) for epoch, step in places]


def test_cosine_starts_at_the_first_rate_and_heads_for_the_last():
    assert cosine(0, 50, 0.025, 0.001) == 0.025
    assert cosine(25, 50, 0.025, 0.001) == pytest.approx(0.013)
    assert cosine(50, 50, 0.025, 0.001) == pytest.approx(0.001)


def test_cosine_follows_the_recursion_of_the_reference_schedule():
    """PyTorch's chainable form is a different formula for the same values."""
    start, end, epochs = 0.025, 0.001, 50
    rate = start
    for epoch in range(1, epochs):
        ratio = (1 + np.cos(np.pi * epoch / epochs)) / (1 + np.cos(np.pi * (epoch - 1) / epochs))
        rate = ratio * (rate - end) + end
        assert cosine(epoch, epochs, start, end) == pytest.approx(rate, rel=1e-9)


def test_exponential_rate_loses_its_share_every_epoch():
    learning_rates = rates(epochs=250, learning_rate=0.1, schedule="exponential")
    assert learning_rates == pytest.approx([0.1 * 0.97**epoch for epoch in range(250)])
    floor = rates(epochs=9, learning_rate=0.1, schedule="exponential", learning_rate_min=0.09)
    assert floor == pytest.approx([0.1, 0.097, 0.09409, 0.0912673, *[0.09] * 5])


def test_linear_rate_with_warm_up():
    learning_rates = rates(epochs=10, learning_rate=0.5, schedule="linear", warmup_epochs=5)
    line = [0.5 * (1 - epoch / 10) for epoch in range(10)]
    warm = [1 / 5, 2 / 5, 3 / 5, 4 / 5, 1, 1, 1, 1, 1, 1]
    assert learning_rates == pytest.approx(np.multiply(line, warm))


def test_rate_of_every_step_lies_on_the_same_curve():
    by_step = rates(steps=4, epochs=6, schedule_per="step")
    assert by_step[::4] == pytest.approx(rates(epochs=6))
    assert np.all(np.diff(by_step) < 0)
    assert rates(steps=4, epochs=6) == pytest.approx(np.repeat(rates(epochs=6), 4))
    warm = rates(steps=4, epochs=6, schedule_per="step", warmup_epochs=2)
    assert warm == pytest.approx(np.minimum(np.arange(1, 25) / 8, 1) * by_step)


# Other schedules


def by_epoch(value_at, **settings):
    config = SearchConfig(workdir="unused", epochs=50, **settings)
    return [value_at(config, epoch) for epoch in range(50)]


def test_temperature_falls_from_ten_to_a_tenth():
    temperatures = by_epoch(schedules.temperature_at)
    assert temperatures == pytest.approx(np.linspace(10, 0.1, 50))
    assert schedules.temperature_at(SearchConfig(workdir="unused", epochs=1), 0) == 10


def test_perturbation_grows_as_in_the_code_of_its_authors():
    radii = by_epoch(schedules.perturb_radius_at)
    assert radii == pytest.approx([0.03 + (0.3 - 0.03) * epoch / 50 for epoch in range(50)])
    assert by_epoch(schedules.perturb_radius_at, perturb_radius=0.03) == pytest.approx([0.03] * 50)


def test_weight_of_beta_decay_grows_and_others_do_not():
    value_at = schedules.regularizer_weight_at
    grown = by_epoch(value_at, regularizer="beta-decay")
    assert grown == pytest.approx([50 * epoch / 50 for epoch in range(50)])
    assert by_epoch(value_at, relaxation="sigmoid") == [10.0] * 50
    assert by_epoch(value_at, relaxation="dirichlet") == [1e-3] * 50
    scaled = by_epoch(value_at, regularizer="beta-decay", regularizer_weight=5.0)
    assert scaled == pytest.approx(np.asarray(grown) / 10)
    assert by_epoch(value_at, relaxation="sigmoid", regularizer_weight=0.0) == [0.0] * 50


def test_dropout_of_skips_decays_twice_as_in_the_code_of_its_authors():
    dropout_rates = by_epoch(schedules.op_dropout_at, op_dropout=0.4, arch_from_epoch=10)
    resting = [0.4 * (50 - epoch - 1) / 50 for epoch in range(10)]
    moving = [0.4 * np.exp(-(epoch - 10) * 0.2) for epoch in range(10, 50)]
    assert dropout_rates == pytest.approx([*resting, *moving])


def test_drop_path_is_proportional_to_the_epoch():
    config = TrainConfig(workdir="unused", genotype="DARTS_V2", drop_path=0.2, epochs=600)
    drop_path_rates = [schedules.drop_path_at(config, epoch) for epoch in (0, 300, 599)]
    assert drop_path_rates == pytest.approx([0, 0.1, 0.2 * 599 / 600])
