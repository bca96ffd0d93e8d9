"""Parts as TFLite models: they agree with the network's layers, and are timed."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from mostly_slow import mostly_slow

from darts_tf.costs.parts import ADD, CONCAT, RELU, Part, Target, all_parts, parts_of
from darts_tf.costs.tables import network_cost
from darts_tf.export import profiling
from darts_tf.export.tflite import measuring
from darts_tf.layers.primitives import PRIMITIVES
from darts_tf.layers.stems import Stem
from darts_tf.models.counting import cost_table, layer_of
from darts_tf.spaces.zoo import GENOTYPES

PARTS = [
    *(Part(name, 4, 4, 7, 9, stride) for name in PRIMITIVES for stride in (1, 2)),
    Part("preprocess", 6, 4, 7, 8),
    Part("preprocess", 6, 4, 7, 8, 2),
    Part("classifier", 6, 5, 3, 2),
    Part("stem_cifar", 3, 6, 8, 9),
    Part("stem_imagenet", 1, 6, 32, 33, 8),
]
FREE = {("none", 1), ("none", 2), ("skip_connect", 1)}
"""Primitives that are no parts of networks."""


def outputs(path, *inputs):
    interpreter = Interpreter(model_path=str(path))
    interpreter.allocate_tensors()
    details = sorted(interpreter.get_input_details(), key=lambda given: given["name"])
    for given, value in zip(details, inputs, strict=True):
        interpreter.set_tensor(given["index"], value)
    interpreter.invoke()
    (output,) = interpreter.get_output_details()
    return interpreter.get_tensor(output["index"])


@mostly_slow(
    (0, 5, 10, 15, 20), "part", [p for p in PARTS if (p.name, p.stride) not in FREE], ids=str
)
def test_model_of_a_part_is_its_layer_in_one_partition(tmp_path, part):
    (path := tmp_path / "part.tflite").write_bytes(profiling.model_of(part))
    draw = np.random.default_rng(0)
    x = draw.normal(size=(1, part.height, part.width, part.inputs)).astype(np.float32)
    layer = layer_of(part)
    profiling.as_if_trained(layer)
    given = 2 * (x / 255 - 0.5) if isinstance(layer, Stem) else x
    expected = tf.nest.flatten(layer(given))[-1]
    np.testing.assert_allclose(outputs(path, x), expected, rtol=1e-4, atol=1e-4)
    assert measuring.operations(path)[1] == {"DELEGATE": 1}


@pytest.mark.parametrize(
    ("part", "inputs", "function"),
    [
        (Part(ADD, 4, 4, 3, 5), 2, np.add),
        (Part(CONCAT, 4, 12, 3, 5), 3, lambda *xs: np.concatenate(xs, -1)),
        (Part(RELU, 4, 4, 3, 5), 1, lambda x: np.maximum(x, 0)),
    ],
    ids=[ADD, CONCAT, RELU],
)
def test_parts_without_weights_are_what_they_are_called(tmp_path, part, inputs, function):
    (path := tmp_path / "part.tflite").write_bytes(profiling.model_of(part))
    draw = np.random.default_rng(0)
    given = [draw.normal(size=(1, 3, 5, 4)).astype(np.float32) for _ in range(inputs)]
    np.testing.assert_array_equal(outputs(path, *given), function(*given))


SMALL = Target(2, 3, 8, 8, image_channels=1)


def test_profile_measures_all_in_turns(monkeypatch):
    """With a fake clock: parts take 1 to 50 ms, and networks twice the sum of their parts."""
    written, turns, lines = [], [], []
    monkeypatch.setattr(profiling, "model_of", lambda part: written.append(part) or b"")
    monkeypatch.setattr(
        profiling, "write_network", lambda target, genotype, path: written.append(genotype)
    )

    def call(path, threads):
        assert threads == 3
        return written[int(path.name)]

    def alone(model):
        if isinstance(model, Part):
            return float(1 + all_parts(SMALL).index(model))
        return 2.0 * sum(count * alone(part) for part, count in parts_of(SMALL, model).items())

    def milliseconds(model, runs):
        turns.append(model)
        return [alone(model)] * (runs - 1) + [1e9]

    monkeypatch.setattr(profiling, "invocation", call)
    monkeypatch.setattr(profiling, "milliseconds", milliseconds)
    costs, factor = profiling.profile(SMALL, threads=3, seconds=0.2, report=lines.append)
    parts = all_parts(SMALL)
    assert costs == {part: 2 * 10**6 * (1 + i) for i, part in enumerate(parts)}
    assert factor == pytest.approx(2)
    assert written[: len(parts)] == parts
    networks = written[len(parts) :]
    assert len(set(networks)) == len(networks) == profiling.NETWORKS
    assert turns == [each for _ in range(profiling.ROUNDS) for each in written for _ in range(2)]
    assert lines[0].startswith(f"{len(written)} models written")
    assert f"   2,000.0 us  {parts[0]}" in lines


@mostly_slow(
    1,
    ("target", "name"),
    [
        (Target(2, 3, 9, 8, classes=7, image_channels=1), "PCDARTS"),
        (Target(16, 3, 64, 64, stem="imagenet"), "DARTS_V2"),
    ],
    ids=["least", "imagenet"],
)
def test_network_is_whole_and_has_about_the_predicted_bytes(tmp_path, target, name):
    path, genotype = tmp_path / "network.tflite", GENOTYPES[name]
    profiling.write_network(target, genotype, path)
    image = np.zeros((1, target.height, target.width, target.image_channels), np.float32)
    logits = outputs(path, image)
    assert logits.shape == (1, target.classes)
    assert np.ptp(logits) > 0
    table = cost_table("bytes", parts_of(target, genotype))
    size = path.stat().st_size
    assert size <= network_cost(table, target, genotype) <= 1.25 * size


def test_bigger_part_takes_longer(tmp_path):
    times = []
    for channels in (8, 96):
        path = tmp_path / f"{channels}.tflite"
        path.write_bytes(profiling.model_of(Part("sep_conv_5x5", channels, channels, 32, 32)))
        times.append(np.median(measuring.milliseconds(measuring.invocation(path, 1), 20)))
    assert 0 < 2 * times[0] < times[1]
