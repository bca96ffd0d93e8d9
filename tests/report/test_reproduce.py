"""Commands that reproduce runs: parsing them returns the settings of the run."""

from __future__ import annotations

import dataclasses
import pathlib
import shlex
import typing

from config_of_kind import GIVEN, kinds, of_kind
from example_counts import examples
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from darts_tf import configs
from darts_tf.cli.arguments import parse
from darts_tf.errors import InputError
from darts_tf.report.reproduce import command_of, defaults_of


def read_back(config):
    program, command, *argv = shlex.split(command_of(config))
    assert (program, command) == ("darts-tf", config.command)
    kind = next((i for i, t in configs.ON_TEXT.items() if t is type(config)), type(config))
    return parse(kind, argv, "darts-tf")


def value_of(hint, name):
    """Returns a strategy for values of a setting of this type."""
    if typing.get_origin(hint) is typing.Annotated:
        hint = typing.get_args(hint)[0]
    if typing.get_origin(hint) is typing.Literal:
        return st.sampled_from(typing.get_args(hint))
    if typing.get_origin(hint) is tuple:
        return st.just(GIVEN.get(name, ()))
    choices = {
        bool: st.booleans(),
        int: st.integers(1, 99),
        float: st.floats(0.001, 0.999),
        str: st.sampled_from(["a b", "-x", "$HOME;'"]),
        pathlib.Path: st.sampled_from([pathlib.Path("a b"), pathlib.Path("t.json")]),
    }
    kinds = typing.get_args(hint) or (hint,)
    return st.one_of(*(choices[k] for k in kinds if k in choices), *[st.none()] * (hint is None))


@kinds()
def test_command_of_a_plain_run_says_little(kind):
    config = of_kind(kind)
    assert len(shlex.split(command_of(config))) <= 14
    assert read_back(config) == config


@kinds()
@settings(max_examples=examples(15), deadline=None)
@given(data=st.data())
def test_command_makes_the_same_settings_again(kind, data):
    hints = typing.get_type_hints(kind)
    kept = {"overwrite", "resume", "workdir", "dataset", "preset", "of", "methods", "over"}
    names = sorted(f.name for f in dataclasses.fields(kind) if f.name not in kept)
    chosen = data.draw(st.lists(st.sampled_from(names), max_size=4, unique=True))
    fields = {name: data.draw(value_of(hints[name], name)) for name in chosen}
    preset = {}
    if issubclass(kind, configs.RunConfig):
        preset = {"preset": data.draw(st.sampled_from(sorted(kind.presets)))}
    try:
        config = of_kind(kind, **preset, **fields)
    except InputError:
        assume(False)
    if kind in configs.ON_TEXT.values():
        config = dataclasses.replace(config, dataset="pydoc")
    assert read_back(config) == config


def test_defaults_are_those_of_the_preset():
    config = of_kind(configs.SearchConfig, preset="cifar10")
    assert defaults_of(config)["channels"] == 16
    assert defaults_of(config)["dataset"] == "cifar10"


def test_a_preset_s_own_settings_can_be_taken_back():
    config = of_kind(configs.SearchConfig, preset="p-darts", stages=(), max_skips=None)
    assert read_back(config) == config
