"""Parsing of ranges and values of settings, as in momentum=0.8..0.95 channels=8,16."""

from __future__ import annotations

import dataclasses
import re
import types
import typing
from collections.abc import Iterable

from darts_tf.errors import InputError, shown, unknown_name

NOT_CHOSEN = ("workdir", "overwrite", "resume", "preset", "genotype", "dataset")
"""Settings that a study cannot vary."""
NOT_SET = ("workdir", "overwrite", "resume", "preset", "genotype")
"""Settings that cannot be given as `name=value`, because they have a flag or are computed."""

EXAMPLES = "learning_rate=0.01..0.1:log, channels=8,16 or flip=true,false"

_NUMBER = r"[-+]?[\d.]+(?:e[-+]?\d+)?"


@dataclasses.dataclass(frozen=True)
class Dimension:
    """Search domain of one setting: a list of values, or a range.

    Attributes:
        name: name of the setting.
        values: all values, or the two ends of the range.
        is_range: whether `values` are the ends of a range.
        log: whether the range is sampled on a logarithmic scale.
    """

    name: str
    values: tuple
    is_range: bool = False
    log: bool = False


def dimensions(config_class: type, texts: Iterable[str]) -> tuple[Dimension, ...]:
    """Parses domains of settings, written as in `EXAMPLES`.

    Args:
        config_class: the class whose fields the settings are.
        texts: one for each setting.

    Raises:
        InputError: a setting that is unknown, cannot be varied or is named twice; a range whose
            ends are not numbers in ascending order; or fewer than two different values.
    """
    by_name = {}
    for text in texts:
        name, spec = _divided(config_class, text, NOT_CHOSEN, EXAMPLES)
        if name in by_name:
            raise InputError(f"Expected each setting once. Received: {name} twice")
        by_name[name] = _dimension(config_class, name, spec, text)
    return tuple(by_name.values())


def assigned(config_class: type, texts: Iterable[str]) -> dict[str, object]:
    """Parses assignments such as `epochs=5`; returns the values by the name of the setting.

    Values of the wrong type are left as text, which the config class rejects.

    Raises:
        InputError: a text without a value, or a setting that is unknown or in `NOT_SET`.
    """
    values = {}
    for text in texts:
        name, word = _divided(config_class, text, NOT_SET, "epochs=5 or flip=true")
        values[name] = value_of(config_class, name, word)
    return values


def value_of(config_class: type, name: str, word: str):
    """Converts a word to None, a bool, an int or a float if the setting's type has it.

    Any other word is returned as it is.
    """
    kinds = _kinds(typing.get_type_hints(config_class)[name])
    if type(None) in kinds and word.lower() == "none":
        return None
    if bool in kinds and word.lower() in ("true", "false"):
        return word.lower() == "true"
    for kind in (int, float):
        if kind in kinds:
            try:
                return kind(word)
            except ValueError:
                continue
    return word


def written(value) -> str:
    """Formats a value so that `value_of` restores it."""
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)


def _divided(config_class, text: str, but: tuple[str, ...], examples: str) -> tuple[str, str]:
    name, _, spec = text.partition("=")
    name = name.strip().removeprefix("--").replace("-", "_")
    known = [f.name for f in dataclasses.fields(config_class) if f.name not in but]
    if not spec:
        raise InputError(f"Expected a setting as in {examples}. Received: {shown(text)}")
    if name not in known:
        raise unknown_name("a setting", name, known)
    return name, spec.strip()


def _dimension(config_class, name: str, spec: str, text: str) -> Dimension:
    if match := re.fullmatch(rf"({_NUMBER})\.\.({_NUMBER})(:log)?", spec, re.I | re.A):
        ends = tuple(value_of(config_class, name, word) for word in match.group(1, 2))
        log = bool(match[3])
        if any(isinstance(end, str) for end in ends) or not (0 if log else -1e300) < ends[0]:
            above = " above zero" if log else ""
            raise InputError(f"Expected a range of numbers{above} for {name}. Received: {text}")
        if ends[0] >= ends[1]:
            raise InputError(f"Expected a range in ascending order. Received: {text}")
        return Dimension(name, ends, is_range=True, log=log)
    values = tuple(value_of(config_class, name, word.strip()) for word in spec.split(","))
    if len(set(values)) < max(2, len(values)):
        raise InputError(
            f"Expected a range or different values, as in {EXAMPLES}. Received: {shown(text)}"
        )
    return Dimension(name, values)


def _kinds(hint) -> tuple:
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return typing.get_args(hint)
    return (hint,)
