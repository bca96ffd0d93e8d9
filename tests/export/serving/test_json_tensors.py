"""JSON of requests: how many values it has, and large ones beside other threads."""

from __future__ import annotations

import collections
import json

import numpy as np
import pytest
import tensorflow as tf
from audit_reader import SETTINGS
from hypothesis import given, settings
from hypothesis import strategies as st

from darts_tf.export.serving import json_tensors
from darts_tf.export.serving.errors import RequestError
from darts_tf.export.serving.json_tensors import (
    as_bytes,
    parse,
    read,
    size_of,
    text_of,
    write,
)
from darts_tf.export.serving.servable import Signature
from darts_tf.export.serving.tensors import Size, Spec

MEGABYTE = 10**6


class Inputs(Signature):
    """A signature without a function."""

    def __init__(self, **inputs):
        self.name, self.inputs = "inputs", inputs
        self.is_batch = all(spec.is_batch for spec in inputs.values())


def leaves(value) -> int:
    if isinstance(value, dict | list) and value:
        return sum(map(leaves, value.values() if isinstance(value, dict) else value))
    return 1


texts = st.text(st.sampled_from('a,"\\[]{}: \n'), max_size=6)
documents = st.recursive(
    st.one_of(st.integers(), st.none(), texts),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
)


def lists(value) -> int:
    if isinstance(value, dict | list):
        return 1 + sum(map(lists, value.values() if isinstance(value, dict) else value))
    return 0


@settings(max_examples=100, **SETTINGS)
@given(documents)
def test_text_is_json(document):
    assert text_of(document) == json.dumps(document)


def test_large_outputs_are_written_as_small_ones(monkeypatch):
    outputs = {
        "logits": np.random.default_rng(0).random((2, 3, 4), np.float32),
        "bytes": np.array([[b"a"] * 2] * 2, object),
    }
    outputs["logits"][1, 2, 3] = np.inf
    small = write({"instances": []}, Inputs(), outputs)
    monkeypatch.setattr(json_tensors, "STEP", 3)
    assert write({"instances": []}, Inputs(), outputs) == small
    assert small["predictions"][1]["logits"][2][3] is None
    assert small["predictions"][0]["logits"][0][0] == float(str(outputs["logits"][0, 0, 0]))


@settings(max_examples=100, **SETTINGS)
@given(documents, st.integers(0, 5), st.integers(0, 5))
def test_size_is_counted_without_parsing(document, values, depth):
    text = json.dumps(document, ensure_ascii=False).encode()
    exact, size = Size(leaves(document), lists(document)), size_of(text, Size(values, depth))
    assert size == exact or exact <= size <= (values, size.lists) and size.lists <= depth


def test_commas_and_brackets_of_texts_are_not_counted():
    body = {"instances": ['a, b, [c], {\\", d' * 1000]}
    assert parse(json.dumps(body).encode(), Size(1, 1)) == body


@pytest.mark.parametrize(
    ("item", "said"),
    [(b"0,", "at most 100 values.*: 1000001"), (b"[" * 9, "at most 100 lists.*: 9000002")],
)
def test_body_that_is_larger_than_the_model_takes_is_not_parsed(item, said):
    with pytest.raises(RequestError, match=said) as caught:
        parse(b'{"instances": [' + item * 10**6 + b"0 ...", Size(100, 100))  # not JSON either
    assert caught.value.code == "INVALID_ARGUMENT"


@pytest.mark.parametrize(
    ("signature", "values", "lists"),
    [
        (Inputs(images=Spec(tf.float32, (None, 4, 4, 3))), 8 * 48, 8 + 1 + 8 + 32 + 128),
        (Inputs(x=Spec(tf.float32, (None, 2)), y=Spec(tf.float32, (None,))), 8 * 3, 17 + 9),
        (Inputs(text=Spec(tf.string, (None,))), 8, 8 + 1 + 8),
        (Inputs(tokens=Spec(tf.int64, (None, None))), MEGABYTE // 8, 8 + 1 + 8),
        (Inputs(anything=Spec(tf.float32, None)), MEGABYTE // 4, MEGABYTE // 4),
        (Inputs(large=Spec(tf.float32, (None, 10**9))), MEGABYTE // 4, 8 + 1 + 8),
        (Inputs(number=Spec(tf.float32, ())), 1, MEGABYTE // 2),
    ],
)
def test_model_takes_rows_times_elements(signature, values, lists):
    assert signature.most(8, MEGABYTE) == Size(values, lists)


def test_numbers_beyond_float64_are_refused_as_those_beyond_float32():
    signature = Inputs(x=Spec(tf.float32, (None,)))
    for digits in (b"1e39", b"1e400", b"-1e400", b"1" + b"0" * 39, b"1" * 5000):
        with pytest.raises(RequestError) as caught:
            read(parse(b'{"instances": [' + digits + b"]}", Size(9, 9)), signature, MEGABYTE)
        assert caught.value.code == "INVALID_ARGUMENT"


def test_base64_may_have_white_space_but_nothing_else():
    assert as_bytes({"b64": " aGVs\r\n bG8\t"}, "x") == b"hello"
    for text in ("aGVs*bG8", "aGVs\u00a0bG8", "a"):
        with pytest.raises(RequestError, match="base64"):
            as_bytes({"b64": text}, "x")


def test_numbers_are_converted_where_other_threads_can_run(monkeypatch):
    """A thread that keeps Python's lock would stop the event loop, and with it every client.

    Python's functions give it away, the built-in ones do not until they have read all numbers.
    """
    numbers = np.random.default_rng(0).integers(0, 9, (4, 5, 5, 3)) + np.array([0.5, 0.25, 1e-3])
    text = json.dumps({"instances": [*numbers.tolist(), np.ones((5, 5, 3), int).tolist()]}).encode()
    calls = collections.Counter()
    for kind in (float, int):

        def convert(digits, kind=kind):
            calls[kind] += 1
            return kind(digits)

        monkeypatch.setattr(json_tensors, f"_{kind.__name__}", convert)
    monkeypatch.setattr(json_tensors, "STEP", 7)
    signature = Inputs(images=Spec(tf.float32, (None, 5, 5, 3)))
    images = read(parse(text, Size(400, 200)), signature, MEGABYTE)["images"]
    np.testing.assert_array_equal(images[:4], numbers.astype(np.float32))
    np.testing.assert_array_equal(images[4], 1)
    assert calls == {float: numbers.size, int: 75}
