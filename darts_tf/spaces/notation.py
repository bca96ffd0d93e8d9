"""Genotypes in the notations of other tools: the authors' Python notation, and NNI's JSON.

Text is parsed and checked, never evaluated.
"""

from __future__ import annotations

import ast
import json
import os
import re
import warnings
from collections.abc import Mapping

from darts_tf.errors import InputError, first_line, listed, shown
from darts_tf.runtime.strict_json import parse_json
from darts_tf.spaces.cell import CELLS, INPUTS, NODES, PRIMITIVES
from darts_tf.spaces.genotype import Genotype, RecurrentGenotype

LONGEST = 100_000
"""Maximum number of characters of a text in Python notation."""

WIDEST = 100
"""Maximum number of values that are read from a `range`."""


def parse(text: str | bytes, name: str | None = None) -> Genotype | RecurrentGenotype:
    """Parses a genotype in any supported notation, which is recognized by the form of the text.

    Args:
        text: JSON of this library or of NNI, or Python: `Genotype(...)` or assignments of such
            calls.
        name: name of the genotype to return, for Python text that assigns several.

    Raises:
        InputError: the text has none of these notations, or an invalid cell.
    """
    text = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    if re.match(r"\s*[A-Za-z#\"'(]", text):
        return _from_python(text, name)
    fields = parse_json(text)
    if isinstance(fields, dict):
        for kind, read in _NNI.items():
            if any(re.fullmatch(kind, key) for key in fields):
                return read(fields)
        if "recurrent" in fields:
            return RecurrentGenotype.from_fields(fields)
    return Genotype.from_fields(fields)


# The authors' notation


def to_python(genotype: Genotype | RecurrentGenotype) -> str:
    """Returns the call that creates this genotype in the authors' code."""
    fields = vars(genotype).items()
    texts = (f"{name}={list(value)!r}" for name, value in fields)
    return f"Genotype({', '.join(texts)})\n"


def _from_python(text: str, name: str | None):
    if len(text) > LONGEST:
        raise InputError(
            f"Expected at most {LONGEST} characters of Python. Received: {len(text)} of them"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about invalid escapes in strings
            # Python reads the line of a syntax error from the file of this name
            body = ast.parse(text, os.devnull).body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = getattr(error, "lineno", None)
        reason = f"{error.msg} at line {line}" if line else first_line(error)
        raise InputError(
            f"Expected JSON, or a genotype in Python notation. Received: {reason}"
        ) from error
    calls = dict(_calls(body))
    chosen = calls if name is None else {key: calls[key] for key in calls if key == name}
    if len(chosen) != 1:
        wanted = "one genotype (file.py:NAME names one of several)" if name is None else name
        raise InputError(f"Expected {wanted}. Received: {listed(calls) or 'none'}")
    (call,) = chosen.values()
    return _from_call(call)


def _calls(body):
    """Yields name and call for every call of `Genotype`, with an empty name if not assigned."""
    for statement in body:
        value = getattr(statement, "value", None)
        if isinstance(value, ast.Call) and getattr(value.func, "id", "") == "Genotype":
            names = [getattr(target, "id", "") for target in getattr(statement, "targets", [])]
            yield (names or [""])[0], value


def _from_call(call: ast.Call):
    kind = RecurrentGenotype if len(call.args) + len(call.keywords) == 2 else Genotype
    names = [*kind.__dataclass_fields__][: len(call.args)]
    fields = dict(zip(names, call.args, strict=False))
    for keyword in call.keywords:
        if keyword.arg is None or keyword.arg in fields:
            raise InputError(f"Expected every field once, by name. Received: {keyword.arg}")
        fields[keyword.arg] = keyword.value
    return kind.from_fields({name: _value(node) for name, node in fields.items()})


def _value(node: ast.expr):
    """Evaluates a literal, or a `range` of literals."""
    try:
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "range":
            numbers = range(*map(ast.literal_eval, node.args))
            return list(numbers[:WIDEST])
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError) as error:
        raise InputError(
            "Expected lists of names and numbers, or a range. "
            f"Received: {shown(type(node).__name__)}"
        ) from error


# NNI

_OLD_NAMES = {
    primitive.replace("_conv", "conv").replace("_pool_3x3", "pool").replace("_", ""): primitive
    for primitive in PRIMITIVES[1:]
}
"""Primitives by their names in NNI 1 and 2 (`sepconv3x3`, `maxpool`, ...), in NNI's order."""


def to_nni(genotype: Genotype | RecurrentGenotype) -> str:
    """Returns JSON of the cells as NNI 3 writes an architecture of its DARTS space.

    Raises:
        InputError: the cell is recurrent, has another size or an operation that NNI's space does
            not have, or its output is not all of its nodes.
    """
    if isinstance(genotype, RecurrentGenotype):
        raise InputError(
            "Expected cells for images, the only ones that NNI's DARTS space has. "
            "Received: a recurrent cell"
        )
    nodes = tuple(range(INPUTS, INPUTS + NODES))
    written = {}
    for cell in CELLS:
        pairs, concat = getattr(genotype, cell), getattr(genotype, f"{cell}_concat")
        unknown = [primitive for primitive, _ in pairs if primitive not in PRIMITIVES]
        if concat != nodes or len(pairs) != 2 * NODES or unknown:
            raise InputError(
                f"Expected cells of {NODES} nodes, all in the output, with NNI's operations. "
                f"Received: {cell} with {len(pairs) // 2} nodes, {list(concat)} in the output"
                f"{', ' if unknown else ''}{listed(unknown)}"
            )
        for i, (primitive, source) in enumerate(pairs):
            place = f"{INPUTS + i // 2}_{i % 2}"
            written |= {f"{cell}/op_{place}": primitive, f"{cell}/input_{place}": source}
    return json.dumps(written, indent=2) + "\n"


def _from_nni(fields: Mapping[str, object]) -> Genotype:
    """Reads JSON of NNI 2.10 and 3: an operation and an input for each chosen edge."""
    cells = {}
    for cell in CELLS:
        pairs = []
        for node in _nodes(fields, cell + r"/op_(\d+)_\d+"):
            for edge in range(2):
                place = f"{node}_{edge}"
                source = _field(fields, f"{cell}/input_{place}")
                source = source[0] if isinstance(source, list) and len(source) == 1 else source
                pairs.append((_field(fields, f"{cell}/op_{place}"), source))
        cells[cell] = pairs
    return _all_nodes(**cells)


def _from_old_nni(fields: Mapping[str, object]) -> Genotype:
    """Reads JSON of NNI 1 and 2: an operation for each edge, and a switch that chooses edges."""
    cells = {}
    for cell in CELLS:
        pairs = []
        for node in _nodes(fields, cell + r"_n(\d+)_switch"):
            chosen = _field(fields, f"{cell}_n{node}_switch")
            for edge in chosen if isinstance(chosen, list) else [chosen]:
                key = edge if isinstance(edge, str) else f"{cell}_n{node}_p{edge}"
                source = re.fullmatch(rf"{cell}_n{node}_p(\d{{1,3}})", key)
                if source is None:
                    raise InputError(f"Expected edges of node {node}. Received: {shown(edge)}")
                pairs.append((_old_primitive(_field(fields, key)), int(source[1])))
        cells[cell] = pairs
    return _all_nodes(**cells)


_NNI = {r"(normal|reduce)/op_.*": _from_nni, r"(normal|reduce)_n\d+_switch": _from_old_nni}
"""Readers of NNI's JSON, by a regular expression that one of its keys matches."""


def _all_nodes(normal, reduce) -> Genotype:
    concats = (tuple(range(INPUTS, INPUTS + len(pairs) // 2)) for pairs in (normal, reduce))
    normal_concat, reduce_concat = concats
    return Genotype(normal, normal_concat, reduce, reduce_concat)


def _nodes(fields: Mapping[str, object], pattern: str) -> list[str]:
    matches = (re.fullmatch(pattern, key) for key in fields)
    return sorted({match[1] for match in matches if match}, key=lambda n: (len(n), n))


def _field(fields: Mapping[str, object], key: str):
    if key not in fields:
        raise InputError(f"Expected the key {shown(key)}. Received: {listed(fields)}")
    return fields[key]


def _old_primitive(value):
    """Returns the primitive with a name or number of NNI 1 and 2; numbers do not count `none`."""
    value = value[0] if isinstance(value, list) and len(value) == 1 else value
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(_OLD_NAMES):
        return PRIMITIVES[1 + value]
    return _OLD_NAMES.get(value, value) if isinstance(value, str) else value
