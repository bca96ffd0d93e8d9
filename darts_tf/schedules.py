"""Learning rates as functions of the epoch, or of the step."""

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
