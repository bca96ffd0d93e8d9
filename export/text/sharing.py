"""Sharing of one matrix between embedding and classifier in a TFLite file with reduced weights.

The converters either keep a float32 embedding beside a smaller copy for the classifier, or connect
the classifier to the tensor that the embedding reads, which XNNPACK then does not run.
"""

from __future__ import annotations

import copy

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.tools import flatbuffer_utils

STORED = {schema.TensorType.FLOAT16: np.float16, schema.TensorType.INT8: np.int8}


def share_table(model: schema.ModelT) -> None:
    """Lets the embedding read the classifier's stored weights, with its own dequantization.

    Args:
        model: changed in place; float32 models stay unchanged.

    Raises:
        RuntimeError: the graph has reduced weights, but none of them match the embedding.
    """
    (graph,) = model.subgraphs
    kinds = [_kind(model, operator) for operator in graph.operators]
    makers = [
        operator
        for operator, kind in zip(graph.operators, kinds, strict=True)
        if kind == schema.BuiltinOperator.DEQUANTIZE
    ]
    if not makers:
        return  # float32
    gather = graph.operators[kinds.index(schema.BuiltinOperator.GATHER)]
    table = int(gather.inputs[0])
    maker = _maker(model, graph, makers, table)
    own = copy.copy(maker)
    own.outputs = np.array([_new_tensor(model, graph, table)], np.int32)
    gather.inputs = np.array([own.outputs[0], *gather.inputs[1:]], np.int32)
    graph.operators.insert(0, own)


def _maker(model, graph, makers, table: int):
    """Returns the operation that dequantizes the table, or weights equal to it after rounding."""
    for operator in makers:
        if int(operator.outputs[0]) == table:
            return operator
    values = _data(model, graph.tensors[table], np.float32)
    for operator in makers:
        stored = graph.tensors[operator.inputs[0]]
        if list(stored.shape) != list(graph.tensors[table].shape):
            continue
        scale = np.ones((len(values), 1), np.float32)
        if stored.type == schema.TensorType.INT8:
            scale = np.asarray(stored.quantization.scale, np.float32)[:, None]
        if (abs(_data(model, stored, STORED[stored.type]) * scale - values) <= scale).all():
            return operator
    raise RuntimeError("Expected the embedding among the weights of a graph. Received: none")


def _new_tensor(model, graph, table: int) -> int:
    """Adds a tensor like the table without contents, and drops the table's own contents."""
    tensor = copy.copy(graph.tensors[table])
    model.buffers[graph.tensors[table].buffer].data = None
    tensor.buffer, tensor.name = 0, b"embedding"
    graph.tensors.append(tensor)
    return len(graph.tensors) - 1


def _data(model, tensor, dtype) -> np.ndarray:
    return np.frombuffer(bytes(model.buffers[tensor.buffer].data), dtype).reshape(tensor.shape)


def _kind(model: schema.ModelT, operator: schema.OperatorT) -> int:
    code = model.operatorCodes[operator.opcodeIndex]
    return flatbuffer_utils.get_builtin_code_from_operator_code(code)
