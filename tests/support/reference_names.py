"""State dicts of the PyTorch reference's evaluation networks: every name with its shape.

It follows the reference's module tree, independently of the library.
"""

from __future__ import annotations

import numpy as np


def _norm(name, channels):
    vectors = ("weight", "bias", "running_mean", "running_var")
    return {f"{name}.{v}": (channels,) for v in vectors} | {f"{name}.num_batches_tracked": ()}


def _conv(name, inputs, outputs, rows=1, columns=1, groups=1):
    return {f"{name}.weight": (outputs, inputs // groups, rows, columns)}


def _linear(name, inputs, outputs):
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def _factorized_reduce(name, inputs, outputs):
    return {
        **_conv(f"{name}.conv_1", inputs, outputs // 2),
        **_conv(f"{name}.conv_2", inputs, outputs // 2),
        **_norm(f"{name}.bn", outputs),
    }


def _relu_conv_bn(name, inputs, outputs):
    return {**_conv(f"{name}.op.1", inputs, outputs), **_norm(f"{name}.op.2", outputs)}


def _depthwise_then_pointwise(name, first, channels, size):
    return {
        **_conv(f"{name}.op.{first}", channels, channels, size, size, groups=channels),
        **_conv(f"{name}.op.{first + 1}", channels, channels),
        **_norm(f"{name}.op.{first + 2}", channels),
    }


def _op(primitive, name, channels, stride):
    if primitive == "skip_connect":
        return _factorized_reduce(name, channels, channels) if stride == 2 else {}
    if primitive == "conv_7x1_1x7":
        return {
            **_conv(f"{name}.1", channels, channels, 1, 7),
            **_conv(f"{name}.2", channels, channels, 7, 1),
            **_norm(f"{name}.3", channels),
        }
    kind, operation, size = primitive.split("_")
    if operation == "pool":
        return {}
    names = _depthwise_then_pointwise(name, 1, channels, int(size[0]))
    if kind == "sep":
        names |= _depthwise_then_pointwise(name, 5, channels, int(size[0]))
    return names


def _cell(name, pairs, inputs, channels, reduction, reduction_previous):
    first = _factorized_reduce if reduction_previous else _relu_conv_bn
    names = first(f"{name}.preprocess0", inputs[0], channels)
    names |= _relu_conv_bn(f"{name}.preprocess1", inputs[1], channels)
    for i, (primitive, source) in enumerate(pairs):
        stride = 2 if reduction and source < 2 else 1
        names |= _op(primitive, f"{name}._ops.{i}", channels, stride)
    return names


def _stem(kind, channels, image_channels):
    if kind == "cifar":
        outputs = 3 * channels
        return {**_conv("stem.0", image_channels, outputs, 3, 3), **_norm("stem.1", outputs)}
    half = channels // 2
    return {
        **_conv("stem0.0", image_channels, half, 3, 3),
        **_norm("stem0.1", half),
        **_conv("stem0.3", half, channels, 3, 3),
        **_norm("stem0.4", channels),
        **_conv("stem1.1", channels, channels, 3, 3),
        **_norm("stem1.2", channels),
    }


def _auxiliary_head(kind, channels, classes):
    names = {**_conv("features.2", channels, 128), **_norm("features.3", 128)}
    names |= _conv("features.5", 128, 768, 2, 2)
    if kind == "cifar":
        names |= _norm("features.6", 768)
    names |= _linear("classifier", 768, classes)
    return {f"auxiliary_head.{name}": shape for name, shape in names.items()}


def network_shapes(genotype, channels, cells, classes, stem="cifar", image_channels=3):
    """Returns shapes by name of an evaluation network with its auxiliary head."""
    names = _stem(stem, channels, image_channels)
    inputs = [3 * channels if stem == "cifar" else channels] * 2
    previous = stem == "imagenet"
    for i in range(cells):
        reduction = i in (cells // 3, 2 * cells // 3)
        channels *= 2 if reduction else 1
        pairs = genotype.reduce if reduction else genotype.normal
        concat = genotype.reduce_concat if reduction else genotype.normal_concat
        names |= _cell(f"cells.{i}", pairs, inputs, channels, reduction, previous)
        inputs, previous = [inputs[1], len(concat) * channels], reduction
        if i == 2 * cells // 3:
            names |= _auxiliary_head(stem, inputs[1], classes)
    return {**names, **_linear("classifier", inputs[1], classes)}


def random_state_dict(shapes, seed=0):
    """Returns random arrays of these shapes; variances are positive."""
    draw = np.random.default_rng(seed)
    arrays = {name: draw.normal(0, 0.5, shape) for name, shape in shapes.items()}
    return {k: v**2 + 0.5 if k.endswith("running_var") else v for k, v in arrays.items()}
