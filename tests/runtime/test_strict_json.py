"""JSON as we take it, and how errors show what they have received."""

from __future__ import annotations

import numpy as np
import pytest

from darts_tf.configs import SearchConfig
from darts_tf.errors import LISTED, SHOWN, InputError, listed, shown
from darts_tf.runtime.strict_json import DEEPEST, parse_json


def nested(levels: int) -> str:
    return "[" * levels + "]" * levels


def test_json_is_parsed_from_text_and_bytes():
    assert parse_json('{"a": [1, 2.5, null, true, "\u00e9"]}') == {"a": [1, 2.5, None, True, "é"]}
    assert parse_json('{"é": 1}'.encode()) == {"é": 1}
    assert parse_json(nested(DEEPEST)) is not None
    assert parse_json("[1, 2.50]", parse_float=str, parse_int=str) == ["1", "2.50"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "Expected JSON. Received: Expecting value at line 1 column 1"),
        ('{"a":\n1,}', "Expected JSON. Received: .* at line 2 column"),
        (b"\xff", "Expected JSON. Received: 'utf-8' codec can't decode byte 0xff in position 0"),
        ("[" + "9" * 5_000 + "]", "Received: a number with too many digits"),
        ('{"a": 1, "b": 2, "a": 1}', "with every key once. Received: 'a' twice"),
        ('[{"a": {"b": 1, "b": 1}}]', "with every key once. Received: 'b' twice"),
        (nested(DEEPEST + 1), "at most 32 levels. Received: JSON nested too deep"),
        (nested(100_000), "at most 32 levels. Received: JSON nested too deep"),
        ('{"a":' * 500 + "1" + "}" * 500, "nested too deep"),
    ],
)
def test_what_is_no_json_of_ours_is_refused(text, message):
    with pytest.raises(InputError, match=message):
        parse_json(text)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a\nb\u2028", "'a\\nb\\u2028'"),
        ([1, [2, [3, [4]]]], "[1, [2, [3, [...]]]]"),
        (10**5_000, "a number with too many digits"),
        (np.zeros((2, 2)), "array([[0., 0.], [0., 0.]])"),
    ],
    ids=["text", "deep", "large", "array"],
)
def test_value_is_shown_in_one_line(value, text):
    assert shown(value) == text


@pytest.mark.parametrize("value", ["x" * 10**6, [["x" * 100] * 100] * 100, 10**4_000], ids=type)
def test_large_value_is_shown_short(value):
    assert len(shown(value)) <= SHOWN
    assert "..." in shown(value)


def test_list_of_names_ends_where_there_is_no_more_room():
    assert listed(["a", 1]) == "a, 1"
    assert len(listed(map(str, range(1_000)))) == LISTED


@pytest.mark.parametrize("values", [None, 3, "text", ["workdir"], []])
def test_config_is_made_of_an_object_alone(values):
    with pytest.raises(InputError, match="Expected a JSON object of settings. Received"):
        SearchConfig.from_dict(values)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"learning_rate": 10**400}, "learning_rate to be a finite number. Received: .*1000"),
        ({"seed": 2**32}, "seed to be zero or more, below 2..32. Received: seed=4294967296"),
        ({"x" * 10_000: 1}, "Expected field to be one of dataset, .*Received: field='xxx"),
    ],
)
def test_config_refuses_huge_values_in_short_lines(fields, message):
    with pytest.raises(InputError, match=message) as raised:
        SearchConfig.from_dict({"workdir": "run", **fields})
    assert len(str(raised.value)) < 500
