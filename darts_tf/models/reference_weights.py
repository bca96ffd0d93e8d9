"""Weights of the authors' PyTorch implementation, read into our models.

A state dict's names follow the reference's module tree. Each function here lists, for one kind of
layer, `(name below the layer, variable)`. The layouts differ by a transposition, and a supernet's
variables hold the arrays of all edges that leave a state side by side.
"""

from __future__ import annotations

import keras
import numpy as np

from darts_tf.errors import InputError
from darts_tf.layers import primitives
from darts_tf.layers.mixed_recurrent_cell import MixedRecurrentCell
from darts_tf.models import network
from darts_tf.models.language_model import RecurrentModel
from darts_tf.models.state_dicts import weights_in
from darts_tf.models.supernet import Supernet

IGNORED = ("num_batches_tracked",)
ALPHAS = ("alphas_normal", "alphas_reduce", "betas_normal", "betas_reduce", "alphas")


def load_reference_weights(model: keras.Model, state_dict) -> None:
    """Sets a model's variables from a state dict of the PyTorch reference.

    Args:
        model: a `Supernet`, a `RecurrentSupernet`, or a model from `build_network` or
            `build_language_model`.
        state_dict: name to array (NumPy, or anything `np.asarray` takes), in the reference's
            layouts: convolutions `(out, in / groups, rows, columns)`, linear `(out, in)`.
            `alphas_normal` and `alphas_reduce` may be among a supernet's, `alphas` among a
            recurrent one's. What PyTorch's users put around the weights is dropped, as
            `state_dicts.weights_in` does.

    Raises:
        InputError: names are missing or unknown or shapes differ: all of them, in one line; or
            copies that one variable stands for differ. Nothing is changed then.
    """
    recurrent = isinstance(model, RecurrentModel)
    entries = []
    if not recurrent:
        entries = _supernet(model) if isinstance(model, Supernet) else _network(model)
    weights = weights_in(state_dict).items()
    given = {k: np.asarray(v) for k, v in weights if not k.endswith(IGNORED)}
    if recurrent:
        _load_recurrent(model, given)
        return
    _check({name: _their_shape(name, variable, n) for name, variable, _, n in entries}, given)
    values = {}
    for name, variable, group, _ in entries:
        if name in given:
            array = _our_layout(name, given[name], variable)
            _, parts = values.setdefault(id(variable), (variable, {}))
            if not np.array_equal(parts.setdefault(group, array), array):
                raise InputError(
                    f"Expected {name} to equal its copies on the other edges of its state"
                )
    for variable, parts in values.values():
        arrays = [parts[group] for group in sorted(parts)]
        variable.assign(np.concatenate(arrays, _group_axis(variable)) if arrays[1:] else arrays[0])


def _load_recurrent(model, given):
    """Sets a language model's variables; layouts are the same but for one matrix of two parts."""
    units, cell = model.cell.units, model.cell
    whole = {f"rnns.0._Ws.{i}": kernel for i, kernel in enumerate(cell.node_kernels)}
    whole |= {"encoder.weight": model.embedding, "decoder.bias": model.bias}
    if isinstance(cell, MixedRecurrentCell):
        norm = {f"rnns.0.bn.{name}": variable for name, variable in _norm(cell.norm)}
        whole |= {**norm, "alphas": cell.alphas}
    shapes = {name: tuple(variable.shape) for name, variable in whole.items()}
    shapes |= {"decoder.weight": shapes["encoder.weight"], "rnns.0._W0": (2 * units, 2 * units)}
    _check(shapes, given)
    if not np.array_equal(given["decoder.weight"], given["encoder.weight"]):
        raise InputError("Expected decoder.weight to equal encoder.weight, which it is tied to")
    for name, variable in whole.items():
        variable.assign(given.get(name, variable))
    cell.input_kernel.assign(given["rnns.0._W0"][:units])
    cell.recurrent_kernel.assign(given["rnns.0._W0"][units:])


def _check(shapes, given):
    """Refuses a state dict of another architecture, with everything that differs."""
    differing = {
        "missing": sorted(name for name in shapes.keys() - given if name not in ALPHAS),
        "unknown": sorted(given.keys() - shapes),
        "of another shape": [
            f"{name} {given[name].shape} instead of {shapes[name]}"
            for name in sorted(shapes.keys() & given)
            if given[name].shape != shapes[name]
        ],
    }
    if any(differing.values()):
        parts = (
            f"{len(names)} {what}: {', '.join(names)}" for what, names in differing.items() if names
        )
        raise InputError(
            f"Expected the state dict of this architecture, of {len(shapes)} arrays. "
            f"Received: {'; '.join(parts)}"
        )


def _their_shape(name, variable, groups):
    """The shape in the reference of an array of which `variable` holds `groups`."""
    shape = list(variable.shape)
    if groups > 1:
        shape[_group_axis(variable)] //= groups
    if len(shape) == 4:
        first = (2, 3) if _is_depthwise(variable) else (3, 2)
        return tuple(shape[axis] for axis in (*first, 0, 1))
    if len(shape) == 3:
        return (shape[2], shape[1], 1, 1)
    return tuple(shape if name in ALPHAS else reversed(shape))


def _our_layout(name, array, variable):
    """Channels last."""
    if array.ndim == 4 and len(variable.shape) == 3:
        return array[:, :, 0, 0].T[None]
    if array.ndim == 4:
        return array.transpose((2, 3, 0, 1) if _is_depthwise(variable) else (2, 3, 1, 0))
    return array if name in ALPHAS else array.T


def _group_axis(variable):
    """Returns the axis along which groups are concatenated."""
    return 2 if _is_depthwise(variable) else 0


def _is_depthwise(variable):
    return variable.name.startswith("depthwise")


def _below(prefix, pairs):
    return [(f"{prefix}.{name}", variable) for name, variable in pairs]


def _norm(norm):
    pairs = [("running_mean", norm.moving_mean), ("running_var", norm.moving_variance)]
    return pairs + ([("weight", norm.gamma), ("bias", norm.beta)] if norm.affine else [])


def _relu_conv_bn(layer):
    return [("op.1.weight", layer.kernel), *_below("op.2", _norm(layer.norm))]


def _factorized_reduce(layer):
    kernels = [("conv_1.weight", layer.kernel_even), ("conv_2.weight", layer.kernel_odd)]
    return kernels + _below("bn", _norm(layer.norm))


def _separable(layer):
    pairs = []
    for i in range(layer.rounds):
        pairs += [
            (f"op.{4 * i + 1}.weight", layer.depthwise[i]),
            (f"op.{4 * i + 2}.weight", layer.pointwise[i]),
            *_below(f"op.{4 * i + 3}", _norm(layer.norms[i])),
        ]
    return pairs


def _conv_7x1_1x7(layer):
    kernels = [("1.weight", layer.kernel_row), ("2.weight", layer.kernel_column)]
    return kernels + _below("3", _norm(layer.norm))


LAYERS = {
    primitives.Zero: lambda layer: [],
    primitives.Identity: lambda layer: [],
    primitives.Pool: lambda layer: _below("1", _norm(layer.norm)) if layer.norm else [],
    primitives.ReLUConvBN: _relu_conv_bn,
    primitives.FactorizedReduce: _factorized_reduce,
    primitives.SeparableConv: _separable,
    primitives.Conv7x1And1x7: _conv_7x1_1x7,
}


def _layer(layer):
    return LAYERS[type(layer)](layer)


def _head(head):
    # the dense layer's matrix is transposed, as any 2-d array
    return [("weight", head.kernel), ("bias", head.bias)]


def _stem(stem):
    """Names of kernel and normalisation of each convolution of a stem."""
    names = {
        "cifar": [("stem.0", "stem.1")],
        "imagenet": [("stem0.0", "stem0.1"), ("stem0.3", "stem0.4"), ("stem1.1", "stem1.2")],
    }[stem.kind]
    pairs = []
    for (conv, bn), kernel, norm in zip(names, stem.kernels, stem.norms, strict=True):
        pairs += [(f"{conv}.weight", kernel), *_below(bn, _norm(norm))]
    return pairs


def _preprocessing(cell):
    return _below("preprocess0", _layer(cell.preprocess0)) + _below(
        "preprocess1", _layer(cell.preprocess1)
    )


def _search_cell(cell):
    entries = _whole(_preprocessing(cell))
    for edge, row in cell.rows.items():
        leaving = [e for e in cell.rows if e[0] == edge[0]]
        for column, op in enumerate(cell.mixed[edge[0]].ops):
            group = leaving.index(edge) if op.groups > 1 else 0
            entries += [
                (name, variable, group, op.groups)
                for name, variable in _below(f"_ops.{row}._ops.{column}", _layer(op))
            ]
    return entries


def _whole(pairs):
    """Entries for variables that hold one array of the reference."""
    return [(name, variable, 0, 1) for name, variable in pairs]


def _cell(cell):
    pairs = _preprocessing(cell)
    for i, op in enumerate(cell.ops):
        pairs += _below(f"_ops.{i}", _layer(op))
    return pairs


def _auxiliary_head(head):
    pairs = [
        ("features.2.weight", head.kernel1),
        *_below("features.3", _norm(head.norm1)),
        ("features.5.weight", head.kernel2),
    ]
    if head.norm2:
        pairs += _below("features.6", _norm(head.norm2))
    return pairs + _below("classifier", _head(head.head))


def _supernet(model):
    alphas = list(zip(ALPHAS, model.alphas, strict=False))
    entries = _whole(alphas + _stem(model.stem) + _below("classifier", _head(model.head)))
    for i, cell in enumerate(model.cells):
        entries += [(f"cells.{i}.{name}", *rest) for name, *rest in _search_cell(cell)]
    return entries


def _network(model):
    if not isinstance(model, network.Network):
        kinds = "a Supernet or a Network, or one of the recurrent two"
        raise InputError(f"Expected {kinds}. Received: {type(model).__name__}")
    pairs = _stem(model.stem) + _below("classifier", _head(model.head))
    for i, cell in enumerate(model.cells):
        pairs += _below(f"cells.{i}", _cell(cell))
    if model.auxiliary_head:
        pairs += _below("auxiliary_head", _auxiliary_head(model.auxiliary_head))
    return _whole(pairs)
