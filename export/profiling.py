"""Latency of each part of a network on this machine, measured as a separate TFLite model."""

from __future__ import annotations

import collections
import pathlib
import tempfile
from collections.abc import Callable, Mapping
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from darts_tf.costs.parts import ADD, CONCAT, RELU, Part, Target, all_parts, parts_of
from darts_tf.data.preprocessing import Preprocessing
from darts_tf.export.folding import fold, fold_normalizations
from darts_tf.export.images import Examples
from darts_tf.export.tflite import model as tflite_model
from darts_tf.export.tflite.measuring import WARM_UP, invocation, milliseconds, percentiles
from darts_tf.export.tflite.quantization import float32
from darts_tf.layers.stems import Stem
from darts_tf.models.counting import layer_of
from darts_tf.models.network import build_network
from darts_tf.ops.images import joined
from darts_tf.ops.xnnpack import written_for_xnnpack
from darts_tf.spaces.derivation import derive_genotype
from darts_tf.spaces.genotype import Genotype
from darts_tf.spaces.search_spaces import DARTS, SPACES, Space

Model = Part | Genotype

ROUNDS = 10
"""Rounds in which all models take turns, so that load on the machine affects all of them alike."""

FEWEST = 10
"""Minimum number of runs of a model in a round."""

NETWORKS = 3
"""Number of whole networks with random cells that are compared with the sums of their parts."""


class Profile(NamedTuple):
    """Measured latencies of the parts of networks.

    Attributes:
        costs: latency of each part in a network, nanoseconds: the median of all runs of the part
            alone, times `factor`.
        factor: latency of whole networks over the sum of the latencies of their parts alone. It is
            above 1 since a part that runs repeatedly has its data in the processor's caches.
    """

    costs: dict[Part, int]
    factor: float


def profile(
    target: Target,
    threads: int,
    seconds: float,
    report: Callable[[str], None] = lambda line: None,
    space: Space = SPACES[DARTS],
) -> Profile:
    """Measures all parts that networks of a target can have, in turns.

    Args:
        target: size and structure of the networks.
        threads: threads of the TFLite interpreter.
        seconds: approximate time to measure each part for.
        report: called with lines of progress.
        space: search space of the cells.
    """
    parts = all_parts(target, space)
    draw = np.random.default_rng(2019)
    networks = [
        derive_genotype(space, [draw.normal(size=shape) for shape in space.shapes])
        for _ in range(NETWORKS)
    ]
    with tempfile.TemporaryDirectory() as folder:
        paths = {model: pathlib.Path(folder) / f"{i}" for i, model in enumerate(parts + networks)}
        for part in parts:
            paths[part].write_bytes(model_of(part))
        for network in networks:
            write_network(target, network, paths[network])
        calls = {model: invocation(path, threads) for model, path in paths.items()}
    report(f"{len(calls)} models written; measuring them in turns, {ROUNDS} rounds")
    medians = _medians(calls, seconds)
    sums = [parts_of(target, network) for network in networks]
    alone = sum(count * medians[part] for parts in sums for part, count in parts.items())
    factor = sum(medians[network] for network in networks) / alone
    costs = {part: round(1e6 * factor * medians[part]) for part in parts}
    for part, cost in costs.items():
        report(f"{cost / 1e3:10,.1f} us  {part}")
    report(
        f"scaled by {factor:.2f}, the ratio of {NETWORKS} whole networks to the sums of their parts"
    )
    return Profile(costs, factor)


def _medians(calls: Mapping[Model, Callable[[], None]], seconds: float) -> dict[Model, float]:
    """Returns the median latency of each model, milliseconds."""
    times = collections.defaultdict(list)
    for _ in range(ROUNDS):
        for model, call in calls.items():
            warm = milliseconds(call, WARM_UP)
            runs = int(1e3 * seconds / ROUNDS / np.median(warm))
            times[model] += milliseconds(call, max(runs, FEWEST))
    return {model: percentiles(runs)["p50"] for model, runs in times.items()}


def write_network(target: Target, genotype: Genotype, path: pathlib.Path) -> None:
    """Writes the TFLite file of a whole network, in the form of an export, with random weights."""
    network = build_network(
        *(genotype, target.channels, target.cells, target.classes),
        **{"stem": target.stem, "image_channels": target.image_channels, "auxiliary": False},
    )
    for layer in network.parts[1:-1]:
        as_if_trained(layer)
    fold_normalizations(network)
    size = (target.height, target.width, target.image_channels)
    labels = tuple(f"class {i}" for i in range(target.classes))
    tflite_model.write(network, _preprocessing(*size), path, Examples(labels, None))


def model_of(part: Part) -> bytes:
    """Returns a TFLite file of one part as in an exported network: folded, float32, one image."""
    function = _function_of(part)
    count = {ADD: 2, CONCAT: part.channels // part.inputs}.get(part.name, 1)
    states = [tf.TensorSpec((1, part.height, part.width, part.inputs), tf.float32)] * count
    with written_for_xnnpack():
        traced = tf.function(function, autograph=False).get_concrete_function(*states)
    return float32(convert_variables_to_constants_v2(traced), None)


def _function_of(part: Part) -> Callable[..., tf.Tensor]:
    if part.name in _SIMPLE:
        return _SIMPLE[part.name]
    layer = layer_of(part)
    as_if_trained(layer)
    fold(layer)
    if not isinstance(layer, Stem):
        return layer
    preprocessing = _preprocessing(part.height, part.width, part.inputs)
    return lambda images: tf.nest.flatten(layer(preprocessing.normalize(images)))[-1]


_SIMPLE = {
    ADD: tf.add,
    CONCAT: lambda *states: joined(list(states)),
    RELU: tf.nn.relu,
}
"""Parts without weights."""


def _preprocessing(height: int, width: int, channels: int) -> Preprocessing:
    return Preprocessing(height, width, channels, (0.5,) * channels, (0.5,) * channels)


def as_if_trained(layer: keras.layers.Layer) -> None:
    """Sets random weights: a converter might drop normalizations that are still the identity."""
    draw = np.random.default_rng(0)
    for variable in layer.variables:
        variable.assign(draw.uniform(0.5, 1.5, variable.shape))
