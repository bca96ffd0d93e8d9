"""Words of messages: control characters in names are written out."""

from __future__ import annotations

import os

import pytest

from darts_tf.errors import escaped, escaped_lines


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a photo.png", "a photo.png"),
        ("Füße, 犬, 🐶, [b]", "Füße, 犬, 🐶, [b]"),
        ("\x1b[2Jcat", r"\x1b[2Jcat"),
        ("a\nb\r\tc\0", r"a\nb\r\tc\x00"),
        ("\x9b31m", r"\x9b31m"),
        ("gpj.\u202ecat", r"gpj.\u202ecat"),
        ("a\u2028b", r"a\u2028b"),
        (os.fsdecode(b"caf\xe9.png"), r"caf\udce9.png"),
    ],
)
def test_escaped_text_has_no_control_characters(text, expected):
    assert escaped(text) == expected
    assert escaped(expected) == expected
    expected.encode("utf-8")


def test_escaped_lines_stay_lines():
    assert escaped_lines("one\n\ttwo\x07\n") == "one\n\ttwo\\x07\n"
