"""Ranges and values of settings, as texts."""

from __future__ import annotations

import pytest

from darts_tf.configs import SearchConfig, TrainConfig
from darts_tf.configs.ranges import Dimension, assigned, dimensions, value_of, written
from darts_tf.errors import InputError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("learning_rate=0.01..0.1:log", Dimension("learning_rate", (0.01, 0.1), True, True)),
        ("learning-rate=0.01..1", Dimension("learning_rate", (0.01, 1.0), True)),
        ("weight_decay=1e-5..1e-3:log", Dimension("weight_decay", (1e-5, 1e-3), True, True)),
        ("epochs=3..9", Dimension("epochs", (3, 9), True)),
        ("channels=8,16", Dimension("channels", (8, 16))),
        ("flip=true,false", Dimension("flip", (True, False))),
        ("average_decay=none,0.9", Dimension("average_decay", (None, 0.9))),
        ("schedule=cosine,linear", Dimension("schedule", ("cosine", "linear"))),
    ],
)
def test_text_says_what_a_setting_is_chosen_from(text, expected):
    assert dimensions(TrainConfig, [text]) == (expected,)
    for value in expected.values:
        assert value_of(TrainConfig, expected.name, written(value)) == value


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["learnin_rate=1,2"], "a setting to be one of .*Did you mean 'learning_rate'"),
        (["workdir=a,b"], "Received: a setting='workdir'"),
        (["channels"], "Expected a setting as in .* Received: 'channels'"),
        (["channels=8"], "Expected a range or different values, .* Received: 'channels=8'"),
        (["channels=8,8"], "Expected a range or different values"),
        (["channels=16..8"], "Expected a range in ascending order. Received: channels=16..8"),
        (["weight_decay=0..1:log"], "Expected a range of numbers above zero for weight_decay"),
        (["schedule=1..2"], "Expected a range of numbers for schedule"),
        (["epochs=1.5..3"], "Expected a range of numbers for epochs"),
        (["epochs=1,2", "epochs=3,4"], "Expected each setting once. Received: epochs twice"),
    ],
)
def test_text_that_says_nothing_is_refused(texts, message):
    with pytest.raises(InputError, match=message):
        dimensions(SearchConfig, texts)


def test_other_settings_are_given_by_name():
    given = assigned(SearchConfig, ["epochs=5", "dataset=cifar10", "flip=true", "limit=none"])
    assert given == {"epochs": 5, "dataset": "cifar10", "flip": True, "limit": None}
