"""How long each part of a network takes on this machine, as a TFLite model of its own."""

from __future__ import annotations

import collections
import pathlib
import tempfile
from collections.abc import Callable, Mapping
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf
from darts_tf.export.folding import fold, fold_normalizations
from darts_tf.export.images import Examples
from darts_tf.export.tflite import model as tflite_model
from darts_tf.export.tflite.measuring import WARM_UP, invocation, milliseconds, percentiles
from darts_tf.export.tflite.quantization import float32
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from darts_tf.costs.parts import ADD, CONCAT, RELU, Part, Target, all_parts, parts_of
from darts_tf.data.preprocessing import Preprocessing
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
"""In how many rounds all models take turns, so that a busy moment meets all of them alike."""

FEWEST = 10
"""Runs of a model in a round, however slow it is."""

NETWORKS = 3
"""Whole networks, of random cells, that the sums of their parts are compared with."""


class Profile(NamedTuple):
    """What was measured.

    Attributes:
        costs: nanoseconds that each part takes in a network: the median of all runs of the part
            alone, times `factor`.
        factor: what whole networks take as a multiple of the sum of their parts alone. A part that
            runs again and again has its data in the processor's caches.
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
        target: the networks.
        threads: of the runtime.
        seconds: for each part, about.
        report: called with lines of progress.
        space: of the cells.
    """
    parts = all_parts(target, space.nodes, space.all_primitives)
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
    report(f"{len(calls)} models written; they take turns, {ROUNDS} rounds")
    medians = _medians(calls, seconds)
    sums = [parts_of(target, network) for network in networks]
    alone = sum(count * medians[part] for parts in sums for part, count in parts.items())
    factor = sum(medians[network] for network in networks) / alone
    costs = {part: round(1e6 * factor * medians[part]) for part in parts}
    for part, cost in costs.items():
        report(f"{cost / 1e3:10,.1f} us  {part}")
    report(f"these are {factor:.2f} times those of parts alone, as {NETWORKS} whole networks took")
    return Profile(costs, factor)


def _medians(calls: Mapping[Model, Callable[[], None]], seconds: float) -> dict[Model, float]:
    """Milliseconds."""
    times = collections.defaultdict(list)
    for _ in range(ROUNDS):
        for model, call in calls.items():
            warm = milliseconds(call, WARM_UP)
            runs = int(1e3 * seconds / ROUNDS / np.median(warm))
            times[model] += milliseconds(call, max(runs, FEWEST))
    return {model: percentiles(found)["p50"] for model, found in times.items()}


def write_network(target: Target, genotype: Genotype, path: pathlib.Path) -> None:
    """Writes the TFLite file of a whole network, as an export has it, with random weights."""
    network = build_network(
        *(genotype, target.channels, target.cells, target.classes),
        **{"stem": target.stem, "image_channels": target.image_channels, "auxiliary": False},
    )
    for cell in network.cells:
        as_if_trained(cell)
    fold_normalizations(network)
    size = (target.height, target.width, target.image_channels)
    labels = tuple(f"class {i}" for i in range(target.classes))
    tflite_model.write(network, _preprocessing(*size), path, Examples(labels, None))


def model_of(part: Part) -> bytes:
    """A TFLite file of one part as it is in an exported network: folded, in float32, one image."""
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
    """Gives numbers to normalisations that begin as the identity, which a converter might drop."""
    draw = np.random.default_rng(0)
    for variable in layer.variables:
        variable.assign(draw.uniform(0.5, 1.5, variable.shape))
