"""Base classes of the configs: validation of fields, conversion to JSON objects and back."""

from __future__ import annotations

import contextlib
import dataclasses
import fractions
import functools
import math
import numbers
import pathlib
import re
import types
import typing
from collections.abc import Callable, Mapping

from darts_tf import registry
from darts_tf.errors import InputError, listed, shown, unknown_name

RANGES = {
    "positive": lambda value: value > 0,
    "zero or more": lambda value: value >= 0,
    "zero or more, below 2**32": lambda value: 0 <= value < 2**32,
    "3 or more": lambda value: value >= 3,
    "8 or more": lambda value: value >= 8,
    "from 0 to below 1": lambda value: 0 <= value < 1,
}
"""Range checks of numbers, by the description that the error message shows."""

_KINDS = {int: "an integer", float: "a finite number", bool: "true or false", str: "a text"}


GROUPS = (
    *("data and folder", "size and time", "recipe", "search method"),
    *("budget", "machine", "logging", "files of settings"),
)
"""Groups of settings in the order in which help lists them."""


def setting(
    default,
    must_be: str | None = None,
    read: Callable | None = None,
    is_open: bool = False,
    *,
    group: str | None = None,
    common: bool | None = None,
    place: str | None = None,
    names: str | None = None,
):
    """Returns a dataclass field with a default value, checks, and traits for the command line.

    A field that redefines one of a base class inherits the traits that it leaves at None.

    Args:
        default: default value; `dataclasses.MISSING` makes the field required.
        must_be: a key of `RANGES`, checked for values other than None.
        read: `read(name, value)` converts what users write to the field's value; see `count`.
        is_open: whether users can register additional choices for the field.
        group: one of `GROUPS`, under which help lists the flag; by default the class's `group`.
        common: whether `--help` lists the flag, which otherwise only `--help-all` does.
        place: placeholder, such as `RUN`, of a setting that may be given without its flag.
        names: kind of file or folder that the value names, checked before a slow start.
    """
    metadata = {
        **{"must_be": must_be, "read": read, "open": is_open},
        **{"group": group, "common": common, "place": place, "names": names},
    }
    return dataclasses.field(default=default, metadata=metadata)


def trait(config_class: type, field: str, name: str):
    """Returns a trait of a field: its own, or that of the nearest base class that has one.

    Args:
        config_class: a dataclass of settings.
        field: name of the field.
        name: name of the trait, as in `setting`.
    """
    classes = [cls for cls in config_class.__mro__ if dataclasses.is_dataclass(cls)]
    fields = (vars(cls).get("__dataclass_fields__", {}).get(field) for cls in classes)
    values = [each.metadata.get(name) for each in fields if each]
    if name == "group":
        values += [cls.group for cls in classes if field in vars(cls).get("__annotations__", {})]
    return next((value for value in values if value is not None), None)


NUMBERS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9}
"""Factors of the suffixes of plain numbers."""


def parsed_amount(text: str, units: Mapping[str, int]) -> fractions.Fraction | None:
    """Returns the exact value of a number with a unit, as in 1.2G or 30min.

    Args:
        text: the number followed by the unit, in upper or lower case.
        units: the value of each unit by its lower-case name.

    Returns:
        The number times its unit, or None if the text has another form or unit.
    """
    match = re.fullmatch(r"(\d{1,18})(?:\.(\d{1,9}))?([a-z]*)", text.strip(), re.I | re.A)
    unit = units.get(match[3].lower()) if match else None
    if unit is None:
        return None
    decimals = match[2] or ""
    return fractions.Fraction(int(match[1] + decimals) * unit, 10 ** len(decimals))


def count(name: str, value):
    """Converts text such as 600M, 1.2G or 600000000 to an integer; returns other types unchanged.

    Raises:
        InputError: the text is not a whole number.
    """
    if not isinstance(value, str):
        return value
    amount = parsed_amount(value, NUMBERS)
    if amount is None or amount.denominator != 1:
        raise InputError(
            f"Expected {name} to be a whole number, as in 600M or 1.2G. "
            f"Received: {name}={shown(value)}"
        )
    return int(amount)


def names(name: str, value):
    """Splits a string, or each of a list of strings, at commas; returns other types unchanged."""
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list | tuple) or not all(isinstance(text, str) for text in texts):
        return value
    return tuple(word.strip() for text in texts for word in text.split(",") if word.strip())


def counts(name: str, value):
    """Converts a list of numbers and comma-separated texts to integers; see `count`.

    Raises:
        InputError: a text is not a whole number.
    """
    if not isinstance(value, list | tuple):
        return value
    words = (each.split(",") if isinstance(each, str) else [each] for each in value)
    return tuple(count(name, word) for group in words for word in group)


class Config:
    """Base class of the configs: frozen dataclasses that check their fields on construction."""

    group: typing.ClassVar[str | None] = None
    """Group of the fields that a class defines itself, unless a field has its own."""
    on_text: typing.ClassVar[bool] = False
    """True for commands that run a language model, False for networks on images."""

    def __post_init__(self):
        hints = _hints(type(self))
        for field in dataclasses.fields(self):
            value = _checked(field, hints[field.name], getattr(self, field.name))
            object.__setattr__(self, field.name, value)

    def to_dict(self) -> dict[str, object]:
        """Returns the fields as a JSON object: paths as strings, tuples as lists."""
        return {field.name: _plain(getattr(self, field.name)) for field in dataclasses.fields(self)}

    def fields_shared_with(self, config_class: type[Config]) -> dict[str, object]:
        """Returns the values, by name, of the fields that `config_class` also has."""
        names = {field.name for field in dataclasses.fields(config_class)}
        own = (field.name for field in dataclasses.fields(self))
        return {name: getattr(self, name) for name in own if name in names}

    @classmethod
    def from_dict(cls, values: dict[str, object]):
        """Restores a config from the result of `to_dict`.

        Raises:
            InputError: `values` is not a JSON object, a field is unknown or missing, or a value is
                invalid.
        """
        values, every = cls.some_from_dict(values), {}
        for field in dataclasses.fields(cls):
            every[field.name] = values.get(field.name, field.default)
            if every[field.name] is dataclasses.MISSING:
                raise InputError(
                    f"Expected a value for {field.name}. Received: {listed(values) or 'none'}"
                )
        return cls(**every)

    @classmethod
    def some_from_dict(cls, values: dict[str, object]) -> dict[str, object]:
        """Returns checked values of a subset of the fields, given as a JSON object.

        Each value is checked independently of the others.

        Raises:
            InputError: `values` is not a JSON object, a field is unknown, or a value is invalid.
        """
        if not isinstance(values, dict):
            raise InputError(f"Expected a JSON object of settings. Received: {shown(values)}")
        fields, hints = {field.name: field for field in dataclasses.fields(cls)}, _hints(cls)
        for name in values:
            if name not in fields:
                raise unknown_name("field", name, fields)
        return {n: _checked(fields[n], hints[n], value) for n, value in values.items()}


class JobConfig(Config):
    """Base class of the settings of commands that create a run folder.

    Class attributes describe the kind of run. `configs.kind_of` returns the class that belongs to
    stored settings.
    """

    command: typing.ClassVar[str]
    """Name of the command that creates such runs, as in `darts-tf train`."""
    kind: typing.ClassVar[str]
    """Name of the kind in error messages, as in "training on text"."""
    searches: typing.ClassVar[bool] = False
    """True if the run itself trains a supernet and its alphas."""
    trains: typing.ClassVar[bool] = False
    """True if the run itself trains the network of a genotype."""
    inner_runs: typing.ClassVar[str] = ""
    """Plural noun for the runs inside the folder, as in "trials"; empty for a single run."""
    may_differ: typing.ClassVar[frozenset[str]] = frozenset()
    """Settings that a resumed run of this kind may change, besides those of all kinds."""
    may_grow: typing.ClassVar[frozenset[str]] = frozenset()
    """Settings that a resumed run of this kind may increase."""

    def __post_init__(self):
        super().__post_init__()
        if self.overwrite and self.resume:
            raise InputError("Expected one of overwrite and resume. Received: both")


def _hints(config_class: type) -> dict[str, object]:
    """Returns the types of the fields, with the choices that users have registered."""
    return _hints_with(config_class, registry.names())


@functools.cache
def _hints_with(config_class: type, names: tuple[tuple[str, str], ...]) -> dict[str, object]:
    """Returns the types of the fields, cached per class and registered names.

    `typing.get_type_hints` evaluates the annotations, which are strings, on every call.
    """
    return typing.get_type_hints(config_class)


def _checked(field: dataclasses.Field, hint, value):
    """Converts a value to the type of its field and checks it."""
    if read := field.metadata.get("read"):
        value = read(field.name, value)
    value = _coerced(hint, value)
    _check(field.name, value, hint, field.metadata)
    return value


def _check(name: str, value, hint, metadata) -> None:
    must_be = metadata.get("must_be")
    if typing.get_origin(hint) is typing.Literal and value not in typing.get_args(hint):
        error = unknown_name(name, value, typing.get_args(hint))
        raise InputError(f"{error}{registry.HINT}") if metadata.get("open") else error
    if not _is_a(hint, value):
        raise InputError(f"Expected {name} to be {_words(hint)}. Received: {name}={shown(value)}")
    if must_be and value is not None and not RANGES[must_be](value):
        raise InputError(f"Expected {name} to be {must_be}. Received: {name}={shown(value)}")


def _plain(value):
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, pathlib.Path) else value


def _coerced(hint, value):
    """Converts strings to paths, lists to tuples and NumPy's numbers to Python's, as hinted.

    Other values are returned unchanged.
    """
    if isinstance(value, list | tuple) and typing.get_origin(hint) is tuple:
        return tuple(_coerced(typing.get_args(hint)[0], item) for item in value)
    choices = typing.get_args(hint) or (hint,)
    if pathlib.Path in choices and isinstance(value, str):
        return pathlib.Path(value)
    for kind, number in ((int, numbers.Integral), (float, numbers.Real)):
        if kind in choices and isinstance(value, number) and not isinstance(value, bool):
            with contextlib.suppress(OverflowError):  # too large for a float: `_check` reports it
                return kind(value)
    return value


def _is_a(hint, value) -> bool:
    origin, choices = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        return value in choices
    if origin in (typing.Union, types.UnionType):
        return any(_is_a(choice, value) for choice in choices)
    if origin is tuple:
        return isinstance(value, tuple) and all(_is_a(choices[0], item) for item in value)
    if isinstance(value, bool):
        return hint is bool
    return isinstance(value, hint) and (hint is not float or math.isfinite(value))


def _words(hint) -> str:
    origin, choices = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        return " or ".join(map(str, choices))
    if origin is tuple:
        return f"a list of: {_words(choices[0])}"
    if choices:
        return " or ".join("null" if c is type(None) else _words(c) for c in choices)
    return _KINDS.get(hint, "a path")
