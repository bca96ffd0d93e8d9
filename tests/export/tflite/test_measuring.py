"""Operations, partitions and times of TFLite files with known answers."""

from __future__ import annotations

import itertools

import pytest
import tensorflow as tf

from darts_tf.export.tflite import measuring


def written(path, function):
    signature = [tf.TensorSpec((1, 6, 6, 2), tf.float32)]
    concrete = tf.function(function, input_signature=signature).get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], tf.Module())
    path.write_bytes(converter.convert())
    return path


def convolved(x):
    return tf.nn.conv2d(x, tf.ones((3, 3, 2, 2)), 1, "SAME")


def mirrored(x):
    return tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]], "SYMMETRIC")


@pytest.mark.parametrize(
    ("function", "executed"),
    [
        (convolved, {"DELEGATE": 1}),
        (mirrored, {"MIRROR_PAD": 1}),
        (lambda x: convolved(mirrored(convolved(x))), {"DELEGATE": 2, "MIRROR_PAD": 1}),
    ],
    ids=["all", "none", "around"],
)
def test_operations_tells_what_is_delegated(tmp_path, function, executed):
    ops, run = measuring.operations(written(tmp_path / "x.tflite", function))
    assert run == executed
    assert "DELEGATE" not in ops


def test_describe_is_whole(tmp_path):
    told = measuring.describe(written(tmp_path / "x.tflite", lambda x: convolved(mirrored(x))))
    latency = told.pop("latency_ms")
    assert told == {
        "ops": {"CONV_2D": 1, "MIRROR_PAD": 1},
        "delegate_partitions": 1,
        "undelegated_ops": {"MIRROR_PAD": 1},
    }
    assert list(latency) == ["1", "2"]
    for times in latency.values():
        assert 0 < times["p50"] <= times["p95"]


def test_milliseconds_are_of_every_call(monkeypatch):
    durations = (float(part) for call in itertools.count(1) for part in (0, call))
    clock = itertools.accumulate(durations)
    monkeypatch.setattr(measuring.time, "perf_counter", lambda: next(clock) / 1e3)
    calls = []
    times = measuring.milliseconds(lambda: calls.append(1), 101)
    assert times == pytest.approx(range(1, 102))
    assert len(calls) == 101
    assert measuring.percentiles(times) == pytest.approx({"p50": 51, "p95": 96})
