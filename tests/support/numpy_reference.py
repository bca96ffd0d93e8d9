"""The PyTorch reference's convolutional networks in plain NumPy, run from its state dicts.

Written with loops and padding as the PyTorch documentation defines the operations, and with the
module names of the reference; nothing is shared with the library. Images are channels-last, the
arrays have the reference's layouts: convolutions `(out, in / groups, rows, columns)`.
"""

from __future__ import annotations

import numpy as np


def slide(x, function, size, stride=(1, 1), padding=(0, 0), dilation=1, fill=0.0):
    """Applies `function` to every window; returns `(batch, rows', columns', out)`.

    `function` takes a window `(batch, *size, channels)` and returns `(batch, out)`.
    """
    x = np.pad(x, [(0, 0), *((p, p) for p in padding), (0, 0)], constant_values=fill)
    spans = [dilation * (k - 1) + 1 for k in size]
    rows, columns = (
        range(0, length - span + 1, step)
        for length, span, step in zip(x.shape[1:3], spans, stride, strict=True)
    )

    def at(row, column):
        window = x[:, row : row + spans[0] : dilation, column : column + spans[1] : dilation]
        return function(window)

    return np.stack([np.stack([at(i, j) for j in columns], 1) for i in rows], 1)


def max_pool(x, stride):
    """Returns the 3x3 maximum; padding is minus infinity."""
    size, places = (3, 3), (stride, stride)
    return slide(x, lambda w: w.max((1, 2)), size, places, (1, 1), fill=-np.inf)


def avg_pool(x, size, stride, padding):
    """Returns the mean over the positions of a 3x3 window that are inside the image."""
    window = ((size, size), (stride, stride), (padding, padding))
    total, count = (slide(y, lambda w: w.sum((1, 2)), *window) for y in (x, np.ones_like(x)))
    return total / count


class Reference:
    """A model of the reference, computed from its state dict.

    Args:
        weights: arrays by name.
        training: normalize by the batch's statistics, not by the running ones.
        drop_paths: drop all paths that drop path can drop.

    Attributes:
        macs: multiply-accumulates of convolutions and dense layers so far, for one image.
        elementwise: two for every normalized and one for every rectified value so far.
    """

    def __init__(self, weights, training=False, drop_paths=False):
        self.weights = weights
        self.training = training
        self.drop_paths = drop_paths
        self.macs = 0
        self.elementwise = 0

    def relu(self, x):
        self.elementwise += x[0].size
        return np.maximum(x, 0)

    def conv(self, name, x, stride=(1, 1), padding=(0, 0), dilation=1):
        kernel = self.weights[f"{name}.weight"]
        outputs, inputs, *size = kernel.shape
        groups = x.shape[-1] // inputs
        kernel = kernel.reshape(groups, outputs // groups, inputs, -1)

        def product(window):
            window = window.reshape(len(x), -1, groups, inputs)
            return np.einsum("npgi,goip->ngo", window, kernel).reshape(len(x), outputs)

        y = slide(x, product, size, stride, padding, dilation)
        self.macs += y.shape[1] * y.shape[2] * kernel.size
        return y

    def linear(self, name, x):
        self.macs += self.weights[f"{name}.weight"].size
        return x @ self.weights[f"{name}.weight"].T + self.weights[f"{name}.bias"]

    def norm(self, name, x):
        mean, variance = x.mean((0, 1, 2)), x.var((0, 1, 2))
        if not self.training:
            mean, variance = (self.weights[f"{name}.running_{k}"] for k in ("mean", "var"))
        self.elementwise += 2 * x[0].size
        y = (x - mean) / np.sqrt(variance + 1e-5)
        if f"{name}.weight" in self.weights:
            y = y * self.weights[f"{name}.weight"] + self.weights[f"{name}.bias"]
        return y

    def relu_conv_bn(self, name, x):
        return self.norm(f"{name}.op.2", self.conv(f"{name}.op.1", self.relu(x)))

    def factorized_reduce(self, name, x):
        x, stride = self.relu(x), (2, 2)
        shifted = x[:, 1:, 1:]
        odd = [(0, length % 2) for length in x.shape[1:3]]  # the reference takes even sizes only
        shifted = np.pad(shifted, [(0, 0), *odd, (0, 0)])
        halves = [
            self.conv(f"{name}.conv_1", x, stride),
            self.conv(f"{name}.conv_2", shifted, stride),
        ]
        return self.norm(f"{name}.bn", np.concatenate(halves, -1))

    def separable(self, name, x, kernel_size, stride, dilation, rounds):
        padding = dilation * (kernel_size - 1) // 2
        for i in range(rounds):
            steps = (stride if i == 0 else 1,) * 2
            x = self.conv(
                f"{name}.op.{4 * i + 1}", self.relu(x), steps, (padding, padding), dilation
            )
            x = self.norm(f"{name}.op.{4 * i + 3}", self.conv(f"{name}.op.{4 * i + 2}", x))
        return x

    def conv_7x1_1x7(self, name, x, stride):
        x = self.conv(f"{name}.1", self.relu(x), (1, stride), (0, 3))
        return self.norm(f"{name}.3", self.conv(f"{name}.2", x, (stride, 1), (3, 0)))

    def pool(self, name, x, kind, stride):
        y = max_pool(x, stride) if kind == "max" else avg_pool(x, 3, stride, 1)
        return self.norm(f"{name}.1", y) if f"{name}.1.running_mean" in self.weights else y

    def op(self, primitive, name, x, stride):
        """Applies a primitive; `name` is the name of its module."""
        if primitive == "none":
            return np.zeros_like(x[:, ::stride, ::stride])
        if primitive == "skip_connect":
            return x if stride == 1 else self.factorized_reduce(name, x)
        if primitive == "conv_7x1_1x7":
            return self.conv_7x1_1x7(name, x, stride)
        kind, operation, size = primitive.split("_")
        if operation == "pool":
            return self.pool(name, x, kind, stride)
        dilation, rounds = (2, 1) if kind == "dil" else (1, 2)
        return self.separable(name, x, int(size[0]), stride, dilation, rounds)

    def cell(self, name, pairs, concat, s0, s1, reduction, reduction_previous):
        """Applies a discrete cell with two `(primitive, input)` pairs per node."""
        first = self.factorized_reduce if reduction_previous else self.relu_conv_bn
        states = [first(f"{name}.preprocess0", s0), self.relu_conv_bn(f"{name}.preprocess1", s1)]
        branches = []
        for i, (primitive, source) in enumerate(pairs):
            stride = 2 if reduction and source < 2 else 1
            y = self.op(primitive, f"{name}._ops.{i}", states[source], stride)
            identity = primitive == "skip_connect" and stride == 1
            branches.append(0 * y if self.drop_paths and not identity else y)
            if i % 2:
                states.append(branches[-2] + branches[-1])
        return np.concatenate([states[i] for i in concat], -1)

    def stem(self, kind, x):
        """Returns the first two states."""
        if kind == "cifar":
            s = self.norm("stem.1", self.conv("stem.0", x, padding=(1, 1)))
            return s, s
        halve = {"stride": (2, 2), "padding": (1, 1)}
        x = self.norm("stem0.1", self.conv("stem0.0", x, **halve))
        s0 = self.norm("stem0.4", self.conv("stem0.3", self.relu(x), **halve))
        return s0, self.norm("stem1.2", self.conv("stem1.1", self.relu(s0), **halve))

    def network(self, genotype, x, cells, stem="cifar"):
        """Returns the logits of an evaluation network."""
        s0, s1 = self.stem(stem, x)
        previous = stem == "imagenet"
        for i in range(cells):
            reduction = i in (cells // 3, 2 * cells // 3)
            pairs = genotype.reduce if reduction else genotype.normal
            concat = genotype.reduce_concat if reduction else genotype.normal_concat
            y = self.cell(f"cells.{i}", pairs, concat, s0, s1, reduction, previous)
            s0, s1, previous = s1, y, reduction
        return self.linear("classifier", s1.mean((1, 2)))


def named_by_reference(name, layer):
    """Returns kernels of one of our layers, by the reference's names and in its layouts.

    Normalizations are untrained or use batch statistics. A pool that has one is recognized by
    its mean.
    """
    arrays = {}
    for variable in layer.trainable_variables:
        kind, _, which = variable.name.partition("_")
        if kind not in ("gamma", "beta"):
            arrays[f"{name}.{_reference_name(kind, which)}.weight"] = _reference_layout(variable)
    if getattr(layer, "kind", "") in ("max", "avg") and layer.norm:
        arrays[f"{name}.1.running_mean"] = layer.norm.moving_mean
    return arrays


def _reference_name(kind, which):
    if kind in ("depthwise", "pointwise"):
        return f"op.{4 * int(which) + (1 if kind == 'depthwise' else 2)}"
    names = {"": "op.1", "even": "conv_1", "odd": "conv_2", "row": "1", "column": "2"}
    return names[which]


def _reference_layout(variable):
    kernel = np.asarray(variable)
    if kernel.ndim == 3:  # 1x1 of one group: (1, in, out)
        return kernel[0].T[:, :, None, None]
    return kernel.transpose((2, 3, 0, 1) if variable.name.startswith("depthwise") else (3, 2, 0, 1))


FUNCTIONS = {
    "none": lambda x: np.zeros_like(x),
    "tanh": np.tanh,
    "relu": lambda x: np.maximum(x, 0),
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "identity": lambda x: x,
}


def _gated(state, product):
    """Returns the gate and the candidate, computed from the two halves of a product."""
    gate, candidate = np.split(product, 2, axis=-1)
    return FUNCTIONS["sigmoid"](gate), candidate


def _state_0(cell, x, state, mask):
    kernel = np.concatenate([np.asarray(cell.input_kernel), np.asarray(cell.recurrent_kernel)])
    dropped = state if mask is None else state * mask
    gate, candidate = _gated(state, np.concatenate([x, dropped], -1) @ kernel)
    return state + gate * (np.tanh(candidate) - state)


def recurrent_step(cell, x, state, mask):
    """Computes a step of a genotype's recurrent cell."""
    states = [_state_0(cell, x, state, mask)]
    for (name, source), kernel in zip(cell.genotype.recurrent, cell.node_kernels, strict=True):
        earlier = states[source]
        dropped = earlier if mask is None else earlier * mask
        gate, candidate = _gated(earlier, dropped @ np.asarray(kernel))
        states.append(earlier + gate * (FUNCTIONS[name](candidate) - earlier))
    return np.mean([states[i] for i in cell.genotype.concat], axis=0)


def mixed_recurrent_step(cell, x, state, mask, tracked=None, running=None):
    """Computes a step of the mixed cell, edge by edge.

    Args:
        cell: cell whose weights are used.
        x: input.
        state: before the step.
        mask: dropout mask of the multiplied states, or None.
        tracked: a list to append mean and unbiased variance of each normalisation to.
        running: mean and variance to use instead of the batch's.
    """

    def normalized(array):
        mean, variance = running or (array.mean(0), array.var(0))
        if tracked is not None:
            tracked.append((mean, array.var(0, ddof=1)))
        return (array - mean) / np.sqrt(variance + 1e-5)

    alphas = np.exp(np.asarray(cell.alphas))
    shares = iter(alphas / alphas.sum(1, keepdims=True))
    states = [normalized(_state_0(cell, x, state, mask))]
    for kernel in cell.node_kernels:
        node = 0
        for earlier, row in zip(list(states), shares):  # noqa: B905
            dropped = earlier if mask is None else earlier * mask
            gate, candidate = _gated(earlier, dropped @ np.asarray(kernel))
            for name, share in zip(cell.primitives, row, strict=True):
                if name != "none":
                    node += share * (earlier + gate * (FUNCTIONS[name](candidate) - earlier))
        states.append(normalized(node))
    return np.mean(states[1:], axis=0)
