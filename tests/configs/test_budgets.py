"""Budgets as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darts_tf.configs import DeriveConfig, SearchConfig
from darts_tf.configs.budgets import UNITS, Budget, parsed_budget
from darts_tf.errors import InputError


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        ("latency=12ms", Budget("latency", 12_000_000)),
        ("latency=0.5 ms".replace(" ", ""), Budget("latency", 500_000)),
        ("latency=1.5s", Budget("latency", 1_500_000_000)),
        ("latency=80us", Budget("latency", 80_000)),
        ("macs=600M", Budget("macs", 600_000_000)),
        ("macs=1.2g", Budget("macs", 1_200_000_000)),
        ("params=3M", Budget("params", 3_000_000)),
        ("params=12345", Budget("params", 12_345)),
        ("bytes=5MB", Budget("bytes", 5_000_000)),
        ("bytes=1MiB", Budget("bytes", 1_048_576)),
    ],
)
def test_budget_is_read(text, budget):
    assert parsed_budget(text) == budget


@given(metric=st.sampled_from(sorted(UNITS)), most=st.integers(1, 10**15))
def test_budget_is_written_as_it_is_read(metric, most):
    assert parsed_budget(str(Budget(metric, most))) == Budget(metric, most)


@pytest.mark.parametrize(
    "text",
    [
        *("", "600M", "macs", "macs=", "macs=lots", "macs=-1M", "macs=0", "macs=1e6", "=3"),
        *("latency=12", "latency=12h", "flops=3M", "bytes=5ms", "macs=600M,params=3M"),
        *("macs=" + "9" * 30, "macs=nan", "params=3MB", "latency=0.0000000001ns", "x" * 500),
    ],
)
def test_what_is_no_budget_is_refused_in_one_line(text):
    with pytest.raises(InputError, match="Expected a budget .*Received: ") as raised:
        SearchConfig(workdir="run", budget=text)
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 300


@pytest.mark.parametrize("fields", [{"budget": "latency=1ms"}, {"cost": "latency"}])
def test_latencies_need_a_table(fields):
    with pytest.raises(InputError, match="Expected latency_table with latencies"):
        SearchConfig(workdir="run", **fields)
    SearchConfig(workdir="run", latency_table="table.json", **fields)


def test_costs_are_no_part_of_a_budget_of_another_kind():
    assert DeriveConfig(workdir="run", budget="macs=1M").metrics() == {"macs"}
    config = SearchConfig(workdir="run", budget="macs=1M", cost="params")
    assert config.metrics() == {"macs", "params"}
    assert SearchConfig(workdir="run").metrics() == set()
