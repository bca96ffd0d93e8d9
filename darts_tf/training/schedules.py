"""Learning rates as functions of the epoch, or of the step, and what else changes by the epoch."""

from __future__ import annotations

import math


def cosine(place: float, epochs: int, start: float, end: float) -> float:
    """Half a cosine: epoch 0 has `start`, and `end` is never reached."""
    return end + (start - end) * (1 + math.cos(math.pi * place / epochs)) / 2


def linear(place: float, epochs: int, start: float, end: float) -> float:
    """A straight line: epoch 0 has `start`, and `end` is never reached."""
    return start + (end - start) * place / epochs


def exponential(place: float, decay: float, start: float, end: float) -> float:
    """A rate that is multiplied by `decay` in every epoch, down to `end`."""
    return max(start * decay**place, end)


SCHEDULES = {
    "constant": lambda c, place: c.learning_rate,
    "cosine": lambda c, place: cosine(place, c.epochs, c.learning_rate, c.learning_rate_min),
    "linear": lambda c, place: linear(place, c.epochs, c.learning_rate, c.learning_rate_min),
    "exponential": lambda c, place: exponential(
        place, c.learning_rate_decay, c.learning_rate, c.learning_rate_min
    ),
}
"""Rates of a run with these settings, when so many epochs are done."""


def rate_at(config, epoch: int, step: int = 0, steps: int = 1) -> float:
    """The learning rate of a step of a run.

    Args:
        config: its settings. `schedule_per` says whether the rate changes with every epoch or
            with every step; over the first `warmup_epochs` it is multiplied by a factor that grows
            in equal parts to 1.
        epoch: from 0.
        step: of the epoch, from 0.
        steps: of an epoch.
    """
    unit = 1 / steps if config.schedule_per == "step" else 1
    place = epoch + step * unit if config.schedule_per == "step" else epoch
    warm = min(1, (place + unit) / config.warmup_epochs) if config.warmup_epochs else 1
    return SCHEDULES[config.schedule](config, place) * warm


def drop_path_at(config, epoch: int) -> float:
    """The rate of drop path: it grows in proportion to the epoch (Liu et al. 2019, sec. A.2)."""
    return config.drop_path * epoch / config.epochs


TEMPERATURES = 10.0, 0.1
"""Of a relaxation that samples, in the first epoch and the last (Dong & Yang 2019, GDAS)."""


def temperature_at(config, epoch: int) -> float:
    """The temperature of a relaxation that samples, on a straight line."""
    return linear(epoch, max(1, config.epochs - 1), *TEMPERATURES)


FIRST_RADIUS = 0.03
"""Of a perturbation, in the first epoch (Chen & Hsieh 2020, SmoothDARTS)."""


def perturb_radius_at(config, epoch: int) -> float:
    """The radius of a perturbation, on a straight line to what epoch `epochs` would have."""
    return linear(epoch, config.epochs, FIRST_RADIUS, config.perturb_radius)


WEIGHTS = {"beta-decay": 50.0, "zero-one": 10.0}
"""Of regularisers: of beta-decay the last (Ye et al. 2022), of zero-one all (Chu et al. 2020)."""


def regularizer_weight_at(config, epoch: int) -> float:
    """The weight of a search's regulariser: that of beta-decay grows on a straight line from 0."""
    name, given = config.chosen_regularizer, config.regularizer_weight
    most = WEIGHTS[name] if given is None else given
    return linear(epoch, config.epochs, 0.0, most) if name == "beta-decay" else most


def op_dropout_at(config, epoch: int) -> float:
    """The rate of dropout on skip connections (Chen et al. 2019, P-DARTS, as their code has it).

    While the alphas rest it goes down on a straight line; when they begin to move it starts from
    the top again and decays by a factor of exp(-0.2) an epoch.
    """
    if epoch < config.arch_from_epoch:
        return config.op_dropout * (config.epochs - epoch - 1) / config.epochs
    return config.op_dropout * math.exp(-0.2 * (epoch - config.arch_from_epoch))
