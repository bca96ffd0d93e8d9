"""The estimate of a search's memory, and the refusal of one that cannot fit."""

from __future__ import annotations

import dataclasses

import psutil
import pytest

from darts_tf import registry
from darts_tf.configs import SearchConfig
from darts_tf.configs.estimators import ESTIMATORS, Estimator
from darts_tf.runtime import memory
from darts_tf.search import memory_estimate


def config(**changed):
    return SearchConfig(workdir="run", **changed)


MEASURED = [  # gradient, channels, cells, batch, size, partial, GB at most in use (BENCHMARKS.md)
    ("first_order", 16, 8, 16, 32, 1, 2.03),
    ("first_order", 16, 8, 64, 32, 4, 2.36),
    ("first_order", 8, 3, 64, 32, 1, 2.00),
    ("first_order", 16, 5, 32, 16, 1, 1.59),
    ("first_order", 16, 8, 256, 32, 4, 5.43),
    ("first_order", 16, 8, 256, 32, 1, 10.95),
    ("second_order", 16, 8, 16, 32, 1, 3.47),
    ("second_order", 16, 8, 64, 32, 4, 4.31),
    ("second_order", 8, 3, 64, 32, 1, 3.18),
    ("second_order", 16, 5, 32, 16, 1, 2.28),
    ("finite_difference", 16, 8, 16, 32, 1, 2.67),
    ("finite_difference", 16, 8, 64, 32, 4, 3.22),
    ("finite_difference", 8, 3, 64, 32, 1, 2.25),
    ("finite_difference", 16, 5, 32, 16, 1, 1.86),
]


@pytest.mark.parametrize(
    ("gradient", "channels", "cells", "batch", "size", "partial", "peak"), MEASURED
)
def test_estimate_is_near_what_was_measured(gradient, channels, cells, batch, size, partial, peak):
    settings = config(
        arch_gradient=gradient,
        channels=channels,
        cells=cells,
        batch_size=batch,
        partial_channels=partial,
    )
    assert memory_estimate.estimated_bytes(settings, size, size) / 1e9 == pytest.approx(
        peak, rel=0.18
    )


def test_estimate_grows_with_the_batch_and_falls_with_precision_and_partial_channels():
    base = memory_estimate.estimated_bytes(config(channels=16), 32, 32)
    assert memory_estimate.estimated_bytes(config(channels=16, batch_size=128), 32, 32) > base
    for less in ({"precision": "mixed_bfloat16"}, {"partial_channels": 4}):
        assert memory_estimate.estimated_bytes(config(channels=16, **less), 32, 32) < base


def test_traits_of_the_estimator_decide(monkeypatch):
    base = memory_estimate.estimated_bytes(config(), 32, 32)
    for trait, more in {"passes": 4, "working_memory": 3, "graph_bytes": 2e8}.items():
        for value, sign in ((more, 1), (0, -1)):
            entry = dataclasses.replace(ESTIMATORS["second_order"], **{trait: value})
            monkeypatch.setitem(registry.ESTIMATORS, "mine", entry)
            changed = memory_estimate.estimated_bytes(config(arch_gradient="mine"), 32, 32)
            assert sign * (changed - base) > 0, (trait, value)


def test_plain_function_of_a_user_is_assumed_to_need_the_most(monkeypatch):
    monkeypatch.setitem(registry.ESTIMATORS, "mine", Estimator(lambda *given: None))
    needed = {
        name: memory_estimate.estimated_bytes(config(arch_gradient=name), 32, 32)
        for name in ESTIMATORS
    }
    assert needed["mine"] == max(needed.values())


def test_search_that_cannot_fit_is_refused_with_what_to_change(monkeypatch):
    monkeypatch.setattr(memory, "available_bytes", lambda: int(1e9))
    says = r"the 1.0 GB.*batch_size=64, .*use arch_gradient='first_order', .*--partial-channels 4"
    with pytest.raises(ValueError, match=says):
        memory_estimate.check_memory(config(), 32, 32)


def test_search_that_fits_says_what_it_needs(monkeypatch):
    monkeypatch.setattr(memory, "available_bytes", lambda: int(1e12))
    line = memory_estimate.check_memory(config(), 8, 8)
    assert line.startswith("about 1.")
    assert line.endswith(" GB of memory, 1000.0 GB are free")


def test_with_a_gpu_the_hosts_memory_refuses_nothing(monkeypatch):
    monkeypatch.setattr(memory, "available_bytes", lambda: int(1e9))
    monkeypatch.setattr(memory_estimate, "has_gpu", lambda: True)
    assert memory_estimate.check_memory(config(), 32, 32).endswith("on the GPU")


def test_available_memory_is_the_control_groups_where_that_is_less(monkeypatch, tmp_path):
    monkeypatch.setattr(memory, "CGROUP", tmp_path)
    whole = psutil.virtual_memory().total
    assert 0 < memory.available_bytes() <= whole
    for limit, expected in ((str(10**6), 10**6 - 10), ("max", None)):
        (tmp_path / "memory.max").write_text(f"{limit}\n")
        (tmp_path / "memory.current").write_text("10\n")
        if expected:
            assert memory.available_bytes() == expected
        else:
            assert memory.available_bytes() > 10**6
