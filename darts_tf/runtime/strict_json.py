"""JSON from untrusted sources: parsed strictly, with limits."""

from __future__ import annotations

import json
from collections.abc import Callable

from darts_tf.errors import InputError, shown

DEEPEST = 32
"""Most levels of lists and objects: more than our files have, fewer than Python can recurse."""


def parse_json(
    text: str | bytes,
    *,
    parse_float: Callable[[str], object] | None = None,
    parse_int: Callable[[str], object] | None = None,
):
    """Parses JSON into plain Python values.

    Args:
        text: JSON, as text or as bytes in UTF-8.
        parse_float: converts the digits of a number with a point or exponent; by default `float`.
        parse_int: converts the digits of another number; by default `int`.

    Raises:
        InputError: Not UTF-8, not JSON (with line and column), a key twice in one object, or
            levels beyond `DEEPEST`. In one short line, whatever the text.
    """
    try:
        text = text.decode("utf-8") if isinstance(text, bytes) else text
        value = json.loads(
            text,
            object_pairs_hook=_with_each_key_once,
            parse_float=parse_float,
            parse_int=parse_int,
        )
    except InputError:
        raise
    except UnicodeDecodeError as error:
        raise InputError(f"Expected JSON. Received: {error}") from error
    except json.JSONDecodeError as error:
        place = f"at line {error.lineno} column {error.colno}"
        raise InputError(f"Expected JSON. Received: {error.msg} {place}") from error
    except RecursionError as error:
        raise InputError(_TOO_DEEP) from error
    except ValueError as error:  # Python refuses integers of several thousand digits
        raise InputError("Expected JSON. Received: a number with too many digits") from error
    if _is_deeper(value, DEEPEST):
        raise InputError(_TOO_DEEP)
    return value


_TOO_DEEP = f"Expected JSON of at most {DEEPEST} levels. Received: JSON nested too deep"


def _with_each_key_once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    values = {}
    for key, value in pairs:
        if key in values:
            raise InputError(f"Expected JSON with every key once. Received: {shown(key)} twice")
        values[key] = value
    return values


def _is_deeper(value, levels: int) -> bool:
    """Walks level by level, since a deep value would exhaust recursion."""
    level = [value]
    for _ in range(levels):
        level = [i for parent in level for i in _items(parent) if isinstance(i, dict | list)]
    return bool(level)


def _items(value):
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()
