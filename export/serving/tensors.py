"""Conversion of tensors between protocol buffers and NumPy, checked against a signature."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from tensorflow.core.framework.tensor_pb2 import TensorProto
from tensorflow.core.protobuf.meta_graph_pb2 import TensorInfo

from darts_tf.export.serving.errors import invalid

STRING_BYTES = 8
"""Bytes that an element of a string tensor counts as, beside its text."""

FIELDS = {
    tf.float32: "float_val",
    tf.float64: "double_val",
    tf.int32: "int_val",
    tf.int64: "int64_val",
    tf.bool: "bool_val",
    tf.string: "string_val",
}
"""Fields of `TensorProto` in which clients of all languages look for the values."""


class Size(NamedTuple):
    """Size of JSON: numbers, texts and other values; lists and objects."""

    values: int
    lists: int

    def __add__(self, other: Size) -> Size:
        """Returns the size of both together."""
        return Size(self.values + other.values, self.lists + other.lists)


class Spec(NamedTuple):
    """Type and shape of a signature's tensor; None is any size, a shape of None is any shape."""

    dtype: tf.DType
    shape: tuple[int | None, ...] | None

    @classmethod
    def of(cls, info: TensorInfo) -> Spec:
        """Creates a spec from a SavedModel's description."""
        shape = info.tensor_shape
        sizes = tuple(None if dim.size < 0 else dim.size for dim in shape.dim)
        return cls(tf.dtypes.as_dtype(info.dtype), None if shape.unknown_rank else sizes)

    @property
    def is_batch(self) -> bool:
        """True if the first axis has any size."""
        return bool(self.shape) and self.shape[0] is None

    @property
    def element_bytes(self) -> int:
        """Bytes that an element counts as."""
        return STRING_BYTES if self.dtype == tf.string else self.dtype.size

    def most(self, rows: int, limit: int) -> Size:
        """Returns the largest size in JSON of a tensor of at most `rows` rows and `limit` bytes."""
        values = limit // self.element_bytes
        if self.shape is None:
            return Size(values, values)
        sizes = [values if size is None else size for size in self.shape]
        if self.is_batch:
            sizes[0] = rows
        # an object for every row of named inputs, another for every text in base64
        lists = rows + sum(math.prod(sizes[:axis]) for axis in range(len(sizes)))
        lists += math.prod(sizes) if self.dtype == tf.string else 0
        return Size(min(values, math.prod(sizes)), min(2 * values, lists))

    def check(self, name: str, shape: tuple[int, ...], limit: int) -> None:
        """Raises RequestError unless the shape fits and takes at most `limit` bytes."""
        if self.shape is not None and (
            len(shape) != len(self.shape)
            or any(want not in (None, size) for want, size in zip(self.shape, shape, strict=True))
        ):
            raise invalid(
                f"Expected {name} of shape {_words(self.shape)}. Received: {_words(shape)}"
            )
        if math.prod(shape) * self.element_bytes > limit:
            raise invalid(
                f"Expected {name} of at most {limit} bytes. Received: shape {_words(shape)}"
            )


def from_proto(proto: TensorProto, spec: Spec, name: str, limit: int) -> np.ndarray:
    """Converts a client's message to an array.

    Raises:
        RequestError: another type or shape, more than `limit` bytes, or too few values.
    """
    if proto.dtype != spec.dtype.as_datatype_enum:
        raise invalid(f"Expected {name} of type {spec.dtype.name}. Received: {_dtype(proto)}")
    shape = tuple(dim.size for dim in proto.tensor_shape.dim)
    if proto.tensor_shape.unknown_rank or min(shape, default=0) < 0:
        raise invalid(f"Expected {name} of known shape. Received: {_words(shape)}")
    # before memory is allocated: a single value fills a tensor of any shape
    spec.check(name, shape, limit)
    if spec.dtype == tf.string and len(proto.string_val) != math.prod(shape):
        raise invalid(
            f"Expected {name} with {math.prod(shape)} texts. Received: {len(proto.string_val)}"
        )
    try:
        return tf.make_ndarray(proto)
    except (TypeError, ValueError) as error:
        raise invalid(f"Expected {name} with values for its shape. Received: others") from error


def string_proto(texts: list[bytes]) -> TensorProto:
    """Converts a batch of strings to a message for a server."""
    return to_proto(np.array(texts, object))


def to_proto(array: np.ndarray) -> TensorProto:
    """Converts an array to a message for a client."""
    dtype = tf.dtypes.as_dtype(array.dtype)
    if dtype not in FIELDS:
        return tf.make_tensor_proto(array)
    proto = TensorProto(dtype=dtype.as_datatype_enum)
    for size in array.shape:
        proto.tensor_shape.dim.add(size=size)
    getattr(proto, FIELDS[dtype]).extend(array.ravel().tolist())
    return proto


def _dtype(proto: TensorProto) -> str:
    try:
        return tf.dtypes.as_dtype(proto.dtype).name
    except TypeError:
        return f"type {proto.dtype}"


def _words(shape: tuple[int | None, ...]) -> str:
    return f"({', '.join('n' if size is None else str(size) for size in shape)})"
