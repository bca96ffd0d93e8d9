"""Files of measured latencies: read as written, and only where they hold."""

from __future__ import annotations

import json

import pytest
from example_counts import examples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from darts_tf.costs import latency_table
from darts_tf.costs.parts import Part, Target, all_parts
from darts_tf.errors import InputError

COSTS = {part: 7 * i for i, part in enumerate(all_parts(Target(2, 3, 8, 9, image_channels=1)))}


@pytest.fixture
def path(tmp_path):
    latency_table.save(tmp_path / "table.json", COSTS, threads=2)
    return tmp_path / "table.json"


def change(path, **fields):
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def refused(path, message, **given):
    with pytest.raises(InputError, match=message) as raised:
        latency_table.load(path, **given)
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 500


def test_table_is_read_as_it_was_written(path):
    table = latency_table.load(path, threads=2)
    assert (table.metric, table.costs, table.name) == ("latency", COSTS, str(path))
    assert list(table.costs) == list(COSTS)


def test_table_of_other_threads_is_refused(path):
    refused(path, "Expected latencies of threads=1, which this machine .* Received: threads=2")


@pytest.mark.parametrize("name", ["runtime", "machine", "precision"])
@pytest.mark.parametrize("value", ["another", None])
def test_table_of_another_machine_is_refused_unless_asked_for(path, name, value):
    measured = {**json.loads(path.read_text())["measured"], name: value}
    change(path, measured=measured)
    refused(path, f"Expected latencies of {name}=.*Received: {name}={value!r}", threads=2)
    assert latency_table.load(path, threads=None).costs == COSTS


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"format": 2}, "Expected format=1. Received: 2"),
        ({"metric": "macs"}, "Expected metric='latency'"),
        ({"unit": "ms"}, "Expected unit='ns'"),
        ({"measured": 3}, "Expected latencies of runtime="),
        ({"parts": {}}, "Expected a list of parts"),
        ({"parts": [3]}, "Expected part 0 to have inputs, .*Received: 3"),
        ({"parts": [{"name": "relu"}]}, "Expected part 0 to have inputs"),
        ({"more": 1}, "Expected a table of darts-tf profile, with the keys format, .*more"),
    ],
)
def test_what_is_no_table_is_refused(path, fields, message):
    change(path, **fields)
    refused(path, message, threads=2)


@pytest.mark.parametrize(
    "fields",
    [
        *({"latency": value} for value in (-1, 1.5, True, "1", None)),
        *({name: value} for name in Part._fields[1:] for value in (0, 2.0, "2")),
        {"name": 3},
    ],
)
def test_entry_that_cannot_be_is_refused(path, fields):
    parts = json.loads(path.read_text())["parts"]
    change(path, parts=[*parts, {**parts[0], **fields}])
    refused(path, "Expected", threads=2)


def test_part_that_is_there_twice_is_refused(path):
    parts = json.loads(path.read_text())["parts"]
    change(path, parts=[*parts, {**parts[3], "latency": 5}])
    refused(path, "Expected every part once. Received: .*, twice", threads=2)


@pytest.mark.parametrize("text", ["", "[]", "3", "{", '"table"', "\x00", "[" * 10**5])
def test_other_files_are_refused(tmp_path, text):
    path = tmp_path / "table.json"
    path.write_text(text)
    refused(path, "Expected")


def test_file_that_is_not_there_is_named(tmp_path):
    refused(tmp_path / "none.json", "which is not there")


@given(cut=st.integers(0, 400), junk=st.binary(max_size=20))
@settings(
    max_examples=examples(60),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_damage_is_an_error_of_input(tmp_path, cut, junk):
    path = tmp_path / "damaged.json"
    latency_table.save(path, dict(list(COSTS.items())[:2]), threads=1)
    path.write_bytes(path.read_bytes()[:cut] + junk)
    with pytest.raises(InputError):
        latency_table.load(path)
