"""Replicas: one step of several devices on a global batch is that of one device."""

from __future__ import annotations

import functools
import itertools

import pytest
import tensorflow as tf
from numerics import floatx
from replica_trainers import batches, distance, made, mirrored, stepped, widened

from darts_tf.configs.estimators import ESTIMATORS

ONE = tf.distribute.get_strategy()
BOUNDS = {"float32": 1e-6, "float64": 1e-12}


@functools.cache
def alone(estimator, dtype, frozen):
    """A step of one device, and how far each of its numbers may be missed.

    Float32 rounds on one device too: where a step of it is further from one in float64 than the
    bound, replicas may be as far.
    """
    with floatx(dtype):
        trainer = made(ONE, estimator, frozen=frozen)
        wide = widened(trainer, estimator, frozen=frozen)
        step = stepped(trainer, next(iter(batches(ONE))))
    with floatx("float64"):
        exact = stepped(wide, next(iter(batches(ONE))))
    return step, {n: max(BOUNDS[dtype], 2 * distance(step[n], exact[n])) for n in step}


def cases():
    """Two replicas in float64, of the estimator with the most parts; the rest takes long."""
    for estimator, dtype, count, frozen in itertools.product(
        ESTIMATORS, BOUNDS, (2, 4), (False, True)
    ):
        quick = (estimator, count, dtype, frozen) == ("second_order", 2, "float64", False)
        kind = "frozen" if frozen else "synchronised"
        yield pytest.param(
            *(estimator, dtype, count, frozen),
            id=f"{estimator}-{dtype}-{count}-{kind}",
            marks=() if quick else pytest.mark.slow,
        )


@pytest.mark.parametrize(("estimator", "dtype", "count", "frozen"), list(cases()))
def test_replicas_take_the_step_of_one_device(estimator, dtype, count, frozen):
    with floatx(dtype):
        strategy = mirrored(count)
        found = stepped(made(strategy, estimator, frozen=frozen), next(iter(batches(strategy))))
    expected, bounds = alone(estimator, dtype, frozen)
    off = {name: distance(found[name], expected[name]) for name in expected}
    assert {name: value for name, value in off.items() if value > bounds[name]} == {}
