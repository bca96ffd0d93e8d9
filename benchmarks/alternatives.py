"""Size and latency of networks that a mobile engineer would pick, beside a network of this space.

    python benchmarks/alternatives.py

Builds MobileNetV3, MobileNetV2, EfficientNetB0, EfficientNet-Lite0, and DARTS_V2 with 48 channels
and 14 cells, all with 1000 classes and random weights; nothing is downloaded. Exports each to
TFLite in float32 and full int8 with the code of `darts-tf export`, and runs all files in turns, one
image at a time. On a machine with other work, compare the 10th percentiles.

Sizes and latencies do not depend on the values of the weights. The accuracy of these files is
meaningless: they are untrained and calibrated with noise. The accuracies in the table are published
ones.
"""

from __future__ import annotations

import argparse
import functools
import math
import pathlib
import tempfile
from collections.abc import Callable
from typing import NamedTuple

CLASSES = 1000
CHANNELS, CELLS = 48, 14
"""Size of the network of DARTS_V2 in the paper's experiment on ImageNet."""

VARIANTS = ("float32", "int8")
"""Precisions of the TFLite files: keys of `export.tflite.quantization.VARIANTS`."""

SHARES = (10, 50)
"""Percentiles of the latencies."""


def main():
    """Converts and measures the networks, prints tables and writes them as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", nargs="+", default=[*NETWORKS], choices=NETWORKS)
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=40, help="turns of each file")
    parser.add_argument("--turn", type=int, default=5, help="consecutive calls in a turn")
    parser.add_argument("--images", type=int, default=8, help="of noise, to calibrate int8 with")
    args = parser.parse_args()
    from darts_tf.cli.startup import held_stderr, start_tensorflow

    start_tensorflow()
    from measuring import in_turns, save, show

    from darts_tf.export.tflite.measuring import invocation

    with held_stderr(), tempfile.TemporaryDirectory() as folder:
        rows, calls = {}, {}
        for name in args.networks:
            stem = pathlib.Path(folder) / name
            rows[name] = write_files(name, stem, args.image_size, args.images)
            for variant in VARIANTS:
                calls[name, variant] = invocation(file_of(stem, variant), args.threads)
        times = in_turns(calls, args.rounds * args.turn, args.turn, SHARES)
    for (name, variant), quantiles in times.items():
        rows[name]["files"][variant]["latency_ms"] = quantiles
    size = f"{args.image_size}x{args.image_size}"
    show(
        f"one image {size}, threads: {args.threads}, 10th percentile of {args.rounds} rounds",
        ["", "M MACs", "M params", *(f"{v} {unit}" for v in VARIANTS for unit in ("MB", "ms"))],
        [(name, *sizes_and_times(row)) for name, row in rows.items()],
    )
    show(
        "operations",
        ["", *(f"{v} {what}" for v in VARIANTS for what in ("all", "parts", "left"))],
        [(name, *operations_of(row)) for name, row in rows.items()],
    )
    published = {name: network.published._asdict() for name, network in NETWORKS.items()}
    columns = ["", "M MACs", "M params", "top-1 %", "int8 top-1 %", "source"]
    figures = [(name, *row.values()) for name, row in published.items()]
    show("published, 224x224", columns, [["" if f is None else f for f in row] for row in figures])
    save("alternatives", {"settings": vars(args), "networks": rows, "published": published})


def sizes_and_times(row: dict) -> list[float]:
    """Returns a network's MACs and parameters in millions, and MB and ms of each file."""
    files = [row["files"][variant] for variant in VARIANTS]
    return [
        *(row["macs"] / 1e6, row["parameters"] / 1e6),
        *(cell for file in files for cell in (file["bytes"] / 1e6, file["latency_ms"]["p10"])),
    ]


def operations_of(row: dict) -> list[str]:
    """Returns for each file its operations, XNNPACK's parts, and operations outside of these."""
    cells = []
    for variant in VARIANTS:
        file = row["files"][variant]
        left = file["undelegated_ops"]
        names = ", ".join(f"{count} {name.lower()}" for name, count in left.items())
        cells += [str(file["ops"]), str(file["delegate_partitions"]), names or "none"]
    return cells


def write_files(name: str, stem: pathlib.Path, image_size: int, images: int) -> dict:
    """Builds a network and writes its TFLite files.

    Args:
        name: an entry of `NETWORKS`.
        stem: path of the files without their suffix.
        image_size: height and width of the input.
        images: number of images of noise for batch statistics and for calibration.

    Returns:
        `macs`, `parameters`, and `files`: a dict for each variant, see `convert`.
    """
    import keras
    import numpy as np
    from measuring import take_batch_statistics

    from darts_tf.data import Preprocessing
    from darts_tf.export.folding import fold_normalizations
    from darts_tf.models.counting import count_macs, count_params
    from darts_tf.models.network import Network

    keras.utils.set_random_seed(0)
    preprocessing = Preprocessing(image_size, image_size, 3, (0.5,) * 3, (0.5,) * 3)
    shape = (images, image_size, image_size, 3)
    noise = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    network = NETWORKS[name].build(image_size)
    take_batch_statistics(network, preprocessing.normalize(noise))
    parameters = count_params(network)
    if isinstance(network, Network):
        macs = count_macs(network, image_size)
        fold_normalizations(network)
    else:  # the converter folds normalizations of Keras
        macs = multiply_adds(network)
    files = {v: convert(network, preprocessing, file_of(stem, v), noise, v) for v in VARIANTS}
    return {"macs": macs, "parameters": parameters, "files": files}


def darts_v2(image_size: int):
    """Returns the paper's network for ImageNet, without its auxiliary head."""
    from darts_tf.models.network import build_network
    from darts_tf.spaces.zoo import GENOTYPES

    sizes = {"stem": "imagenet", "auxiliary": False}
    return build_network(GENOTYPES["DARTS_V2"], CHANNELS, CELLS, CLASSES, **sizes)


def keras_network(name: str, image_size: int):
    """Returns a network of keras.applications with random weights that returns logits."""
    import keras

    build = getattr(keras.applications, name)
    network = build(
        input_shape=(image_size, image_size, 3),
        weights=None,
        classes=CLASSES,
        classifier_activation=None,
    )
    return without_preprocessing(network)


def without_preprocessing(network):
    """Returns a functional network from the first layer that is not preprocessing.

    Some networks of keras.applications begin with layers that scale raw images. An export has its
    own, which takes the same time in all files.
    """
    import keras

    kinds = (keras.layers.InputLayer, keras.layers.Rescaling, keras.layers.Normalization)
    first = next(layer for layer in network.layers if not isinstance(layer, kinds))
    return keras.Model(first.input, network.output)


LITE0_BLOCKS = (
    (3, 1, 16, 1, 1),
    (3, 2, 24, 6, 2),
    (5, 2, 40, 6, 2),
    (3, 3, 80, 6, 2),
    (5, 3, 112, 6, 1),
    (5, 4, 192, 6, 2),
    (3, 1, 320, 6, 1),
)
"""Blocks of EfficientNetB0 and EfficientNet-Lite0: kernel, repeats, channels, expansion, stride."""


def efficientnet_lite0(image_size: int):
    """Returns EfficientNet-Lite0: EfficientNetB0 with ReLU6 and without squeeze-and-excite."""
    import keras
    from keras import layers

    def normalized(x, convolution, rectified=True):
        x = layers.BatchNormalization()(convolution(x))
        return layers.ReLU(6.0)(x) if rectified else x

    convolution = functools.partial(layers.Conv2D, padding="same", use_bias=False)
    depthwise = functools.partial(layers.DepthwiseConv2D, padding="same", use_bias=False)
    inputs = keras.Input((image_size, image_size, 3))
    x = normalized(inputs, convolution(32, 3, strides=2))
    for kernel, repeats, channels, expansion, first_stride in LITE0_BLOCKS:
        for i in range(repeats):
            before, stride = x, first_stride if i == 0 else 1
            if expansion > 1:
                x = normalized(x, convolution(expansion * x.shape[-1], 1))
            x = normalized(x, depthwise(kernel, strides=stride))
            x = normalized(x, convolution(channels, 1), rectified=False)
            if before.shape == x.shape:
                x = layers.Add()([before, x])
    x = layers.GlobalAveragePooling2D()(normalized(x, convolution(1280, 1)))
    return keras.Model(inputs, layers.Dense(CLASSES)(x))


def multiply_adds(network) -> int:
    """Counts multiply-accumulates of convolutions and dense layers, as `darts_tf.count_macs` does.

    Args:
        network: built, with a known image size.
    """
    import keras

    total = 0
    for layer in network._flatten_layers():
        if isinstance(layer, keras.layers.DepthwiseConv2D):
            per_output = math.prod(layer.kernel.shape[:2])
        elif isinstance(layer, (keras.layers.Conv2D, keras.layers.Dense)):
            per_output = math.prod(layer.kernel.shape[:-1])
        else:
            continue
        total += per_output * math.prod(layer.output.shape[1:])
    return total


def file_of(stem: pathlib.Path, variant: str) -> pathlib.Path:
    """Returns the path of a network's TFLite file in a precision."""
    return stem.with_name(f"{stem.name}_{variant}.tflite")


def convert(network, preprocessing, path: pathlib.Path, images, variant: str) -> dict:
    """Writes a TFLite file as `darts-tf export` does.

    Args:
        network: a Keras model that returns logits `(batch, 1000)`.
        preprocessing: its normalization becomes part of the graph.
        path: new file.
        images: uint8 `(n, height, width, 3)`, to calibrate int8 with.
        variant: "float32" or "int8".

    Returns:
        `bytes`; `ops`, the number of operations; `delegate_partitions`, the number of parts that
        XNNPACK runs; and `undelegated_ops`, the number of other operations that are run, by name.

    Raises:
        RuntimeError: XNNPACK runs no part of the file, so that its latency says nothing.
    """
    from darts_tf.export.images import Examples
    from darts_tf.export.tflite import model
    from darts_tf.export.tflite.measuring import DELEGATE, operations

    examples = Examples(tuple(f"class {i}" for i in range(CLASSES)), images)
    model.write(network, preprocessing, path, examples, variant)
    ops, executed = operations(path)
    parts = executed.pop(DELEGATE, 0)
    if not parts:
        raise RuntimeError(
            f"Expected XNNPACK to run parts of the file. Received: none, {path.name}"
        )
    return {
        "bytes": path.stat().st_size,
        "ops": sum(ops.values()),
        "delegate_partitions": parts,
        "undelegated_ops": dict(sorted(executed.items())),
    }


class Published(NamedTuple):
    """Figures of a network with 224x224 inputs in its publication, not measured here.

    Attributes:
        macs: multiply-accumulates of one image, millions.
        parameters: trainable parameters, millions.
        top1: accuracy on ImageNet's validation images in float32, percent.
        top1_int8: the same in full int8, quantized after or during training; None if unpublished.
        source: publication with these figures.
    """

    macs: float
    parameters: float
    top1: float
    top1_int8: float | None
    source: str


class Alternative(NamedTuple):
    """A network: a function that builds it for an image size, and its published figures."""

    build: Callable[[int], object]
    published: Published


SMALL, LARGE, V2, B0 = (
    functools.partial(keras_network, name)
    for name in ("MobileNetV3Small", "MobileNetV3Large", "MobileNetV2", "EfficientNetB0")
)
SLIM = "tensorflow/models, research/slim/nets/mobilenet"
LITE = "tensorflow/tpu, models/official/efficientnet/lite"

# The int8 accuracies of MobileNetV3 are those of SLIM, whose MobileNetV3Small has 66 M MACs.
NETWORKS = {
    "MobileNetV3Small": Alternative(
        SMALL, Published(56, 2.5, 67.4, 64.9, f"arXiv:1905.02244, {SLIM}")
    ),
    "MobileNetV3Large": Alternative(
        LARGE, Published(219, 5.4, 75.2, 73.9, f"arXiv:1905.02244, {SLIM}")
    ),
    "MobileNetV2": Alternative(V2, Published(300, 3.47, 71.8, None, SLIM)),
    "EfficientNet-Lite0": Alternative(efficientnet_lite0, Published(407, 4.7, 75.1, 74.4, LITE)),
    "EfficientNetB0": Alternative(B0, Published(390, 5.3, 77.1, None, "arXiv:1905.11946")),
    # the paper's 574 M also counts normalizations and activations in part
    "DARTS_V2": Alternative(darts_v2, Published(574, 4.7, 73.3, None, "arXiv:1806.09055")),
}
"""Networks by name, those of other authors by growing cost."""


if __name__ == "__main__":
    main()
