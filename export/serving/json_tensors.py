"""Conversion of tensors from and to JSON, in TensorFlow Serving's row and column formats."""

from __future__ import annotations

import base64
import binascii
import itertools
import json
import math
from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from darts_tf.errors import SHOWN, InputError, shortened, shown
from darts_tf.export.serving.errors import invalid
from darts_tf.export.serving.servable import Signature
from darts_tf.export.serving.tensors import Size, Spec
from darts_tf.runtime.strict_json import parse_json

ROWS, COLUMNS = "instances", "inputs"
BINARY_SUFFIX = "_bytes"
"""Suffix of outputs that are bytes and are sent as base64; other strings are sent as text."""


OTHERS = Size(16, 16)
"""What a request may have beside its inputs, such as its signature's name."""
STEP = 2**16
"""Number of values that are converted at once; between them, other threads run."""


def parse(text: bytes, most: Size) -> dict:
    """Parses a request's body.

    Args:
        text: the body.
        most: largest size of the inputs; a larger body is not parsed.

    Raises:
        RequestError: it is larger, is not a JSON object, or its signature's name is not a string.
    """
    size = size_of(text, most + OTHERS)
    for kind, number, limit in zip(("values", "lists"), size, most, strict=True):
        if number > limit + getattr(OTHERS, kind):
            raise invalid(
                f"Expected at most {limit} {kind}, as many as the model takes. Received: {number}"
            )
    try:
        body = parse_json(text, parse_float=_float, parse_int=_int)
        if b"\\u" in text:  # may be a lone surrogate, which no protocol can carry
            json.dumps(body, ensure_ascii=False).encode()
    except InputError as error:
        raise invalid(str(error)) from error
    except UnicodeEncodeError as error:
        raise invalid("Expected texts of whole characters. Received: half of one") from error
    if not isinstance(body, dict):
        raise invalid(f"Expected a JSON object. Received: {shown(body)}")
    if not isinstance(body.get("signature_name", ""), str):
        raise invalid(f"Expected signature_name, a text. Received: {shown(body['signature_name'])}")
    return body


def size_of(text: bytes, enough: Size) -> Size:
    """Returns the size of JSON without parsing it.

    Values are counted by the commas between them, empty lists as well. NumPy does it without
    Python's lock.

    Args:
        text: the JSON.
        enough: characters in texts are left out only if the size is larger than this with them.
    """
    characters = np.frombuffer(text, np.uint8)
    commas = characters == ord(",")
    lists = (characters == ord("[")) | (characters == ord("{"))
    size = Size(np.count_nonzero(commas) + 1, np.count_nonzero(lists))
    if size.values <= enough.values and size.lists <= enough.lists:
        return size
    if b"\\" in text:
        text = text.replace(b"\\\\", b"..").replace(b'\\"', b"..")
    quotes = np.flatnonzero(np.frombuffer(text, np.uint8) == ord('"'))
    starts = np.concatenate(([0], quotes))

    def outside(of: np.ndarray) -> int:
        # every other part lies between two texts
        return int(np.add.reduceat(of.view(np.uint8), starts, dtype=np.int64)[::2].sum())

    return Size(outside(commas) + 1, outside(lists))


# Functions of Python, unlike the built-in ones, let other threads run while JSON is parsed.


def _float(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise InputError(f"Expected numbers within float64. Received: {shortened(digits, SHOWN)}")
    return number


def _int(digits: str) -> int:
    return int(digits)


def read(body: Mapping, signature: Signature, limit: int) -> dict[str, np.ndarray]:
    """Returns the inputs of a request in either format, by name.

    Raises:
        RequestError: both formats or neither, or values that do not fit the signature.
    """
    if (ROWS in body) == (COLUMNS in body):
        raise invalid(f"Expected one of {ROWS!r} and {COLUMNS!r}. Received: both or none")
    columns = (
        _transposed(body[ROWS], signature) if ROWS in body else _named(body[COLUMNS], signature)
    )
    arrays = {}
    for name, value in columns.items():
        arrays[name] = _array(value, signature.inputs[name], name, limit)
    return arrays


def write(body: Mapping, signature: Signature, outputs: Mapping[str, np.ndarray]) -> dict:
    """Returns the body of the answer to a request, in the request's format."""
    plain = {name: _plain(name, array) for name, array in outputs.items()}
    only = next(iter(plain.values())) if len(plain) == 1 else None
    if COLUMNS in body:
        return {"outputs": plain if only is None else only}
    if not signature.is_batch:
        raise invalid(f"Expected {COLUMNS!r}: {signature.name} has no rows. Received: {ROWS!r}")
    if only is not None:
        return {"predictions": only}
    rows = zip(*plain.values(), strict=True)
    return {"predictions": [dict(zip(plain, row, strict=True)) for row in rows]}


def text_of(value) -> str:
    """Returns strict JSON, written list by list, so that other threads run meanwhile.

    Raises:
        ValueError: a number is not finite.
    """
    if isinstance(value, dict):
        return f"{{{', '.join(f'{json.dumps(k)}: {text_of(v)}' for k, v in value.items())}}}"
    if isinstance(value, list) and value and isinstance(value[0], list | dict):
        return f"[{', '.join(map(text_of, value))}]"
    return json.dumps(value, allow_nan=False)


def as_bytes(value, name: str) -> bytes:
    """Returns the bytes of a JSON string, or of an object whose only key is b64."""
    try:
        if isinstance(value, str):
            return value.encode()
        if list(value) == ["b64"] and isinstance(value["b64"], str):
            text = value["b64"].encode("ascii").translate(None, b" \t\n\r\v\f")
            return base64.b64decode(text + b"=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError) as error:  # invalid UTF-8 or base64
        raise invalid(f"Expected {name} in UTF-8 or base64. Received: {shown(value)}") from error
    raise invalid(f'Expected {name} as a text or {{"b64": text}}. Received: {shown(value)}')


def _is_named(value) -> bool:
    return isinstance(value, dict) and list(value) != ["b64"]


def _named(value, signature: Signature) -> dict:
    if not _is_named(value):
        value = {_only_input(signature): value}
    if set(value) != set(signature.inputs):
        raise invalid(f"Expected {', '.join(signature.inputs)}. Received: {shown(list(value))}")
    return value


def _transposed(rows, signature: Signature) -> dict[str, list]:
    if not isinstance(rows, list) or not rows:
        raise invalid(
            f"Expected {ROWS!r} to be a list of one item or more. Received: {shown(rows)}"
        )
    if len(set(map(_is_named, rows))) > 1:
        raise invalid(f"Expected {ROWS!r} of objects or of values. Received: both")
    if not _is_named(rows[0]):
        return {_only_input(signature): rows}
    for row in rows:
        if set(row) != set(signature.inputs):
            raise invalid(f"Expected {', '.join(signature.inputs)}. Received: {shown(list(row))}")
    return {name: [row[name] for row in rows] for name in signature.inputs}


def _only_input(signature: Signature) -> str:
    if len(signature.inputs) != 1:
        raise invalid(f"Expected objects with {', '.join(signature.inputs)}. Received: only values")
    return next(iter(signature.inputs))


TYPES = {"f": {int, float}, "i": {int}, "u": {int}, "b": {bool}, "O": {str, dict}}
"""JSON types allowed for each kind of NumPy dtype: true is not a number, and 1 is not true."""


def _array(value, spec: Spec, name: str, limit: int) -> np.ndarray:
    values, shape = _flat(value, name)
    spec.check(name, shape, limit)
    dtype = np.dtype(spec.dtype.as_numpy_dtype)
    array = np.empty(len(values), dtype)
    try:
        with np.errstate(over="raise"):
            for start in range(0, len(values), STEP):
                part = values[start : start + STEP]
                if not set(map(type, part)) <= TYPES.get(dtype.kind, set()):
                    raise invalid(
                        f"Expected {name} of type {spec.dtype.name}. Received: other values"
                    )
                if spec.dtype == tf.string:
                    part = [as_bytes(value, name) for value in part]
                array[start : start + STEP] = np.array(part, dtype)
            return array.reshape(shape)
    except (OverflowError, FloatingPointError) as error:
        raise invalid(
            f"Expected {name} within {spec.dtype.name}. Received: a larger value"
        ) from error


def _flat(value, name: str) -> tuple[list, tuple[int, ...]]:
    """Flattens nested lists; returns the innermost values and the shape."""
    level, shape = [value], []
    while level and isinstance(level[0], list):
        sizes = {len(item) if isinstance(item, list) else -1 for item in level}
        if len(sizes) > 1:
            raise invalid(f"Expected {name} as lists of the same size. Received: lists of several")
        shape.append(sizes.pop())
        level = list(itertools.chain.from_iterable(level))
    return level, tuple(shape)


def _plain(name: str, array: np.ndarray):
    """Returns an output as lists; numbers that JSON does not have, NaN and infinity, are None."""
    if array.ndim > 1 and array.size > STEP:
        return [_plain(name, row) for row in array]
    if tf.dtypes.as_dtype(array.dtype).is_floating:
        # print the digits of float32, not those of float64
        digits = array.astype(str) if array.dtype == np.float32 else array
        numbers, finite = digits.astype(np.float64), np.isfinite(array)
        return (numbers if finite.all() else np.where(finite, numbers, None)).tolist()
    if array.dtype != object:
        return array.tolist()
    return _texts(array.tolist(), name.endswith(BINARY_SUFFIX))


def _texts(value, binary: bool):
    if isinstance(value, list):
        return [_texts(item, binary) for item in value]
    if binary:
        return {"b64": base64.b64encode(value).decode("ascii")}
    return value.decode("utf-8", "replace")
