"""Genotypes in the notations of other tools.

Read are the authors' Python notation in its many forms (scripts, lines of logs, dicts, nested
pairs), NNI's JSON, NASLib's tuples and NAS-Bench-201's notation of a cell. Text is parsed and
checked, never evaluated.
"""

from __future__ import annotations

import ast
import itertools
import json
import os
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from darts_tf.errors import InputError, first_line, listed, shown
from darts_tf.runtime.strict_json import parse_json
from darts_tf.spaces.cell import (
    CELLS,
    EDGE_PRIMITIVES,
    INPUTS,
    NODES,
    PRIMITIVES,
    is_integer,
    known_primitives,
    unknown_primitive,
)
from darts_tf.spaces.genotype import AnyGenotype, EdgeGenotype, Genotype, RecurrentGenotype

LONGEST = 100_000
"""Maximum number of characters of a text in Python notation."""

LONGEST_LOG = 20_000_000
"""Maximum number of characters of a log that is searched for genotypes."""

WIDEST = 100
"""Maximum number of values that are read from a `range`."""

_NO_LITERAL = (ValueError, TypeError, SyntaxError, RecursionError, MemoryError)
"""Errors of the evaluation of an expression that is no literal."""


def parse(text: str | bytes, name: str | None = None) -> AnyGenotype:
    """Parses a genotype in any supported notation, which is recognized by the form of the text.

    Args:
        text: JSON of this library, of NNI or of NASLib; a cell in NAS-Bench-201's notation; Python:
            `Genotype(...)`, a dict of its fields or NASLib's tuples, or assignments of these; or a
            log with such calls or dicts. Bytes are UTF-8, UTF-16 or UTF-32.
        name: chooses one of several genotypes of a Python text or log: the name that it is
            assigned to, or its number in the order of the text, from 1; `-1` is the last.

    Raises:
        InputError: the text has none of these notations, several genotypes that differ and no
            `name`, or an invalid cell.
    """
    if isinstance(text, bytes):
        text = text.decode(json.detect_encoding(text), "replace")
    text = text.removeprefix("\ufeff")
    if is_edge_notation(text):
        return from_edge_notation(text)
    try:
        plain = parse_json(text)
    except InputError as error:
        if not isinstance(error.__cause__, json.JSONDecodeError):
            raise
        return _from_python(text, name, error)
    return genotype_of(plain)


def genotype_of(value) -> AnyGenotype:
    """Returns the genotype of a parsed literal: a dict of fields, NNI's keys, NASLib's lists.

    Raises:
        InputError: see `parse`.
    """
    if _is_compact(value):
        return _from_naslib(value)
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise InputError(f"Expected names of fields. Received: {listed(value)}")
        for kind, read in _NNI.items():
            if any(re.fullmatch(kind, key) for key in value):
                return read(value)
        for fields in (RecurrentGenotype, EdgeGenotype):
            if next(iter(fields.__dataclass_fields__)) in value:
                return fields.from_fields(value)
        value = _flat_fields(value)
    return Genotype.from_fields(value)


def _flat_fields(fields: Mapping[str, object]) -> dict[str, object]:
    """Returns fields of a genotype as the authors write them: flat pairs, their primitives' names.

    sharpDARTS adds the field `layout`, whose value `"cell"` stands for the authors' networks.
    """
    fields = dict(fields)
    layout = fields.pop("layout", "cell")
    if layout != "cell":
        raise InputError(f"Expected cells (layout='cell'). Received: layout={shown(layout)}")
    return {key: _flat(key, value) if key in CELLS else value for key, value in fields.items()}


def _flat(cell: str, pairs):
    """Returns pairs without their nesting by node, as GDAS and Katib write it."""
    if not isinstance(pairs, list | tuple):
        return pairs
    if pairs and all(map(_is_node, pairs)):
        counts = [len(node) for node in pairs]
        uneven = next((i for i, count in enumerate(counts) if count != 2), None)
        if uneven is not None:
            raise InputError(
                f"Expected two pairs for every node of {cell}. "
                f"Received: {counts[uneven]} for node {INPUTS + uneven}"
            )
        pairs = [pair for node in pairs for pair in node]
    return [
        (_primitive(pair[0]), *pair[1:]) if isinstance(pair, list | tuple) and pair else pair
        for pair in pairs
    ]


def _is_node(value) -> bool:
    """Returns whether a value is a list of pairs."""
    pairs = isinstance(value, list | tuple) and value
    return bool(pairs) and all(isinstance(pair, list | tuple) for pair in pairs)


_LONG_WORDS = {
    "separable_convolution": "sep_conv",
    "dilated_convolution": "dil_conv",
    "skip_connection": "skip_connect",
    "pooling": "pool",
}
"""Words in Katib's names of primitives, with those in the authors' names."""


def _primitive(name):
    """Returns the authors' name of a primitive that Katib names; other names as they are."""
    if not isinstance(name, str) or name in known_primitives():
        return name
    plain = name
    for long, short in _LONG_WORDS.items():
        plain = plain.replace(long, short)
    return plain if plain in PRIMITIVES else name


# Python


def to_python(genotype: AnyGenotype) -> str:
    """Returns the call that creates this genotype in the authors' code.

    Raises:
        InputError: their code has no such cells.
    """
    if isinstance(genotype, EdgeGenotype):
        raise InputError(
            "Expected cells of DARTS, the only ones that its authors' code has. "
            "Received: a cell with an operation on every edge"
        )
    fields = vars(genotype).items()
    texts = (f"{name}={list(value)!r}" for name, value in fields)
    return f"Genotype({', '.join(texts)})\n"


class _Cells(NamedTuple):
    """An expression in a text that stands for a genotype.

    Attributes:
        name: name that it is assigned to; empty for none.
        line: its line, from 1.
        node: the expression.
    """

    name: str
    line: int
    node: ast.expr


def _from_python(text: str, name: str | None, not_json: InputError):
    """Returns the genotype in a Python text or log.

    Args:
        text: the text.
        name: see `parse`.
        not_json: error of a text that is neither, but begins as JSON does.
    """
    if len(text) > LONGEST_LOG:
        raise InputError(f"Expected at most {LONGEST_LOG} characters. Received: {len(text)}")
    try:
        body = _body(text)
    except InputError as error:
        cells = list(_in_log(text))
        if not cells:
            raise (not_json if _looks_like_json(text) else error) from error
        same_name = slice(None)
    else:
        cells = _assigned(body)
        if not cells and _looks_like_json(text):
            return genotype_of(_literal_in(body, not_json))
        same_name = slice(-1, None)  # an assignment replaces earlier ones
    if name is None:
        chosen = cells
    else:
        chosen = [each for each in cells if each.name == name][same_name] or _numbered(cells, name)
    if _agree(chosen):
        return _from_node(chosen[0].node)
    several = "FILE:NAME or FILE:NUMBER chooses one of several, FILE:-1 the last"
    wanted = f"one genotype ({several})" if name is None or chosen else name
    raise InputError(f"Expected {wanted}. Received: {_described(cells)}")


def _looks_like_json(text: str) -> bool:
    return text.lstrip()[:1] in ("{", "[")


def _literal_in(body: Sequence[ast.stmt], not_json: InputError):
    """Returns the value of a text that is one literal; raises `not_json` for another one."""
    try:
        return _literal(body[0].value)
    except (AttributeError, IndexError, *_NO_LITERAL) as error:
        if isinstance(error, InputError):
            raise
        raise not_json from None


def _agree(cells: Sequence[_Cells]) -> bool:
    """Returns whether there is one genotype, perhaps several times."""
    try:
        return len(cells) == 1 or len({ast.dump(each.node) for each in cells}) == 1
    except RecursionError:
        return False


def _described(cells: Sequence[_Cells]) -> str:
    if not cells:
        return "none"
    names = [each.name for each in cells]
    if all(names) and len(set(names)) == len(names):
        return listed(names)
    return listed(f"{each.name or 'one without a name'} in line {each.line}" for each in cells)


def _numbered(cells: Sequence[_Cells], name: str) -> list[_Cells]:
    """Returns the genotype with a number, as a list; an empty one if it is not there."""
    if not re.fullmatch(r"-?\d{1,6}", name) or not 1 <= abs(int(name)) <= len(cells):
        return []
    number = int(name)
    return [cells[number - 1 if number > 0 else number]]


def _body(text: str) -> list[ast.stmt]:
    """Parses Python, whose first line may be indented.

    Raises:
        InputError: not Python, or too long.
    """
    if len(text) > LONGEST:
        raise InputError(
            f"Expected at most {LONGEST} characters of Python. Received: {len(text)} of them"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about invalid escapes in strings
            # Python reads the line of a syntax error from the file of this name
            return ast.parse(text.lstrip(" \t"), os.devnull).body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = getattr(error, "lineno", None)
        reason = f"{error.msg} at line {line}" if line else first_line(error)
        raise InputError(
            f"Expected JSON, or a genotype in Python notation. Received: {reason}"
        ) from error


def _assigned(body: Sequence[ast.stmt]) -> list[_Cells]:
    """Returns the genotypes of a script: assigned, alone in a statement, or by another name."""
    cells = []
    for statement in body:
        value = getattr(statement, "value", None)
        targets = getattr(statement, "targets", None) or [getattr(statement, "target", None)]
        names = [target.id for target in targets if isinstance(target, ast.Name)] or [""]
        if isinstance(value, ast.Name):
            value = next((each.node for each in reversed(cells) if each.name == value.id), None)
        if _is_cells(value):
            cells += [_Cells(name, statement.lineno, value) for name in names]
    return cells


def _is_cells(node: ast.expr | None) -> bool:
    """Returns whether an expression is meant as a genotype."""
    if isinstance(node, ast.Call):
        return _function(node) == "Genotype"
    if isinstance(node, ast.Dict):
        keys = {key.value for key in node.keys if isinstance(key, ast.Constant)}
        if keys >= set(CELLS) or "recurrent" in keys:
            return True
        texts = [key for key in keys if isinstance(key, str)]
        return any(re.fullmatch(kind, key) for kind in _NNI for key in texts)
    if isinstance(node, ast.Tuple | ast.List):
        try:
            return _is_compact(ast.literal_eval(node))
        except _NO_LITERAL:
            return False
    return False


_START = re.compile(r"(?<!\w)Genotype\(|\{\s{0,20}['\"](?:normal|reduce|recurrent|concat)\b")
"""Begin of a genotype in a log: a call, or a dict with one of its fields."""

_NAMED = re.compile(r"([A-Za-z_]\w*)\s*[=:]\s*(?:\w{1,40}\.)*$")
"""End of the text before it, with the name that stands there."""

_TOKEN = re.compile(r"'(?:[^'\\\n]|\\.)*'|\"(?:[^\"\\\n]|\\.)*\"|[()\[\]{}]")
"""A string, or a bracket."""


def _in_log(text: str) -> Iterator[_Cells]:
    """Yields the genotypes of a text that is not Python, such as a log; broken ones are skipped."""
    starts = [match.start() for match in _START.finditer(text)]
    line, counted = 1, 0
    for start, following in itertools.pairwise([*starts, len(text)]):
        line, counted = line + text.count("\n", counted, start), start
        expression = _bracketed(text, start, min(following, start + LONGEST))
        before = text[max(start - 200, 0) : start]
        if expression is None or before.endswith("class "):
            continue
        try:
            (statement,) = _body(expression)
        except (InputError, ValueError):
            continue
        name = _NAMED.search(before.rpartition("\n")[2])
        if _is_cells(getattr(statement, "value", None)):
            yield _Cells(name[1] if name else "", line, statement.value)


def _bracketed(text: str, start: int, end: int) -> str | None:
    """Returns the text from `start` to the bracket that closes the first one, before `end`."""
    depth = 0
    for token in _TOKEN.finditer(text, start, end):
        depth += (token[0] in "([{") - (token[0] in ")]}")
        if depth == 0 and len(token[0]) == 1:
            return text[start : token.end()]
    return None


def _from_node(node: ast.expr):
    """Returns the genotype of an expression that `_is_cells` accepts."""
    return genotype_of(_fields(node) if isinstance(node, ast.Call) else _value(node))


def _fields(call: ast.Call) -> dict[str, object]:
    """Returns the fields in a call of `Genotype`, which has two for a recurrent cell."""
    kind = RecurrentGenotype if len(call.args) + len(call.keywords) == 2 else Genotype
    names = [*kind.__dataclass_fields__, "layout"][: len(call.args)]
    if len(call.args) > len(names):
        raise InputError(
            f"Expected the fields {listed(names)}. Received: {len(call.args)} of them by position"
        )
    fields = dict(zip(names, call.args, strict=False))
    for keyword in call.keywords:
        if keyword.arg is None or keyword.arg in fields:
            raise InputError(f"Expected every field once, by name. Received: {keyword.arg}")
        fields[keyword.arg] = keyword.value
    return {name: _value(node) for name, node in fields.items()}


def _value(node: ast.expr):
    """Evaluates a literal, in which `range`, `list`, `tuple` and NumPy's scalars may be called."""
    try:
        return _literal(node)
    except InputError:
        raise
    except _NO_LITERAL as error:
        raise InputError(
            "Expected lists of names and numbers, or a range. "
            f"Received: {shown(type(node).__name__)}"
        ) from error


def _literal(node: ast.expr):
    if isinstance(node, ast.List | ast.Tuple):
        return [_literal(item) for item in node.elts]
    if isinstance(node, ast.Dict):
        keys = [ast.literal_eval(key) for key in node.keys]
        if len(set(keys)) < len(keys):
            raise InputError(f"Expected every key once. Received: {listed(keys)}")
        return dict(zip(keys, map(_literal, node.values), strict=True))
    if isinstance(node, ast.Call) and not node.keywords:
        function = _function(node)
        if function == "range":
            return list(range(*map(ast.literal_eval, node.args))[:WIDEST])
        (argument,) = map(_literal, node.args)
        if function in ("list", "tuple") and isinstance(argument, list):
            return argument
        if re.fullmatch(r"int\d*|str_", function) and isinstance(argument, int | str):  # NumPy 2
            return argument
    return ast.literal_eval(node)


def _function(call: ast.Call) -> str:
    """Returns the name of a called function, without that of its module."""
    return getattr(call.func, "id", None) or getattr(call.func, "attr", "")


# NASLib


def _is_compact(value) -> bool:
    """Returns whether a value is NASLib's `compact` form: an (input, operation) pair per edge."""
    cells = isinstance(value, list | tuple) and len(value) == len(CELLS) and value
    return bool(cells) and all(
        _is_node(cell) and all(len(pair) == 2 and all(map(is_integer, pair)) for pair in cell)
        for cell in cells
    )


def _from_naslib(cells: Sequence[Sequence[tuple[int, int]]]) -> Genotype:
    """Reads NASLib's `compact` form, in which operations are numbers that do not count `none`."""
    last = len(PRIMITIVES) - 2
    for cell in cells:
        for _, operation in cell:
            if not 0 <= operation <= last:
                raise InputError(
                    f"Expected NASLib's (input, operation) pairs, with operations 0 to {last}. "
                    f"Received: operation={shown(operation)}"
                )
    normal, reduce = ([(PRIMITIVES[1 + op], source) for source, op in cell] for cell in cells)
    return Genotype.of_pairs((normal, reduce))


# NAS-Bench-201


def is_edge_notation(text: str) -> bool:
    """Returns whether a text is meant as a cell in NAS-Bench-201's notation."""
    return text.lstrip().startswith("|")


def to_edge_notation(genotype: AnyGenotype) -> str:
    """Returns a line with the cell in NAS-Bench-201's notation.

    Raises:
        InputError: a genotype of another kind.
    """
    if not isinstance(genotype, EdgeGenotype):
        raise InputError(
            "Expected a cell with an operation on every edge, the only one that NAS-Bench-201 has. "
            f"Received: a {' and a '.join(cell.title for cell in genotype.cells)}"
        )
    return f"{genotype}\n"


def from_edge_notation(text: str) -> EdgeGenotype:
    """Parses a cell in NAS-Bench-201's notation, `|OPERATION~STATE|+|OPERATION~STATE|...|`.

    The edges of a node may be in any order.

    Raises:
        InputError: another form, a node that does not have one edge from every earlier state, or
            an unknown operation.
    """
    operations = []
    for number, node in enumerate(text.strip().split("+"), 1):
        match = re.fullmatch(r"\s*\|((?:[^|~]*~[^|~]*\|)+)\s*", node)
        if not match:
            raise InputError(
                f"Expected node {number} as |OPERATION~STATE|...|, nodes separated by +. "
                f"Received: {shown(node)}"
            )
        edges = [edge.split("~") for edge in match[1][:-1].split("|")]
        sources = [source.strip() for _, source in edges]
        if sorted(sources) != sorted(map(str, range(number))):
            states = listed(map(str, range(number)))
            raise InputError(
                f"Expected node {number} to have one edge from each of the states {states}. "
                f"Received: {shown(node)}, edges from {listed(sources)}"
            )
        by_source = {int(source): name.strip() for name, source in edges}
        for source in range(number):
            name = by_source[source]
            if name not in known_primitives():
                place = f"the operation from {source} to {number}"
                raise unknown_primitive(place, name, known_primitives())
            operations.append(name)
    return EdgeGenotype(tuple(operations))


def edge_digits(genotype: EdgeGenotype) -> str:
    """Returns the operations of all edges as indices in `EDGE_PRIMITIVES`: `333133`.

    Tables of NAS-Bench-201 have them as keys.

    Raises:
        InputError: an operation that the benchmark does not have.
    """
    for name in genotype.operations:
        if name not in EDGE_PRIMITIVES:
            raise unknown_primitive("operation", name, EDGE_PRIMITIVES)
    return "".join(str(EDGE_PRIMITIVES.index(name)) for name in genotype.operations)


# NNI

_OLD_NAMES = {
    primitive.replace("_conv", "conv").replace("_pool_3x3", "pool").replace("_", ""): primitive
    for primitive in PRIMITIVES[1:]
}
"""Primitives by their names in NNI 1 and 2 (`sepconv3x3`, `maxpool`, ...), in NNI's order."""


def to_nni(genotype: AnyGenotype) -> str:
    """Returns JSON of the cells as NNI 3 writes an architecture of its DARTS space.

    Raises:
        InputError: there is no normal and reduction cell, a cell has another size or an operation
            that NNI's space does not have, or its output is not all of its nodes.
    """
    if genotype.kinds != CELLS:
        raise InputError(
            "Expected a normal and a reduction cell for images, the only ones that NNI's DARTS "
            f"space has. Received: a {genotype.cells[0].title}"
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
    return Genotype.of_pairs([cells[cell] for cell in CELLS])


def _from_old_nni(fields: Mapping[str, object]) -> Genotype:
    """Reads JSON of NNI 1 and 2: an operation for each edge, and a switch that chooses edges."""
    cells = {}
    for cell in CELLS:
        pairs = []
        for node in _nodes(fields, cell + r"_n(\d+)_switch"):
            chosen = _field(fields, f"{cell}_n{node}_switch")
            for edge in _chosen_edges(chosen):
                key = edge if isinstance(edge, str) else f"{cell}_n{node}_p{edge}"
                source = re.fullmatch(rf"{cell}_n{node}_p(\d{{1,3}})", key)
                if source is None:
                    raise InputError(f"Expected edges of node {node}. Received: {shown(edge)}")
                pairs.append((_old_primitive(_field(fields, key)), int(source[1])))
        cells[cell] = pairs
    return Genotype.of_pairs([cells[cell] for cell in CELLS])


_NNI = {r"(normal|reduce)/op_.*": _from_nni, r"(normal|reduce)_n\d+_switch": _from_old_nni}
"""Readers of NNI's JSON, by a regular expression that one of its keys matches."""


def _nodes(fields: Mapping[str, object], pattern: str) -> list[str]:
    matches = (re.fullmatch(pattern, key) for key in fields)
    return sorted({match[1] for match in matches if match}, key=lambda n: (len(n), n))


def _field(fields: Mapping[str, object], key: str):
    if key not in fields:
        raise InputError(f"Expected the key {shown(key)}. Received: {listed(fields)}")
    return fields[key]


def _chosen_edges(switch) -> list:
    """Returns the edges that a switch chooses: names or numbers, or those of a mask."""
    edges = switch if isinstance(switch, list) else [switch]
    if edges and all(isinstance(edge, bool) for edge in edges):
        return [number for number, chosen in enumerate(edges) if chosen]
    return edges


def _old_primitive(value):
    """Returns the primitive of an edge in NNI 1 and 2.

    Args:
        value: its name or number, in a list or not, or a mask that is true once. Numbers and masks
            do not count `none`.
    """
    if isinstance(value, list) and value and all(isinstance(one, bool) for one in value):
        if len(value) != len(_OLD_NAMES) or sum(value) != 1:
            raise InputError(
                f"Expected one of {len(_OLD_NAMES)} operations to be true on a chosen edge. "
                f"Received: {sum(value)} of {len(value)}"
            )
        value = value.index(True)
    value = value[0] if isinstance(value, list) and len(value) == 1 else value
    if is_integer(value) and 0 <= value < len(_OLD_NAMES):
        return PRIMITIVES[1 + value]
    return _OLD_NAMES.get(value, value) if isinstance(value, str) else value
