"""From the command line to a config: flags are the config's fields, by `tyro`."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import itertools
import os
import typing
from collections.abc import Iterator, Sequence

import tyro

from darts_tf.configs import PRESETS, RunConfig, preset_fields
from darts_tf.errors import InputError
from darts_tf.names import nearest

HELP = ("-h", "--help")
RESUME = "--resume"


class UsageError(InputError):
    """The command line itself is wrong."""


def parse(config_class, argv: Sequence[str], prog: str):
    """The config that `argv` asks for.

    Args:
        config_class: One of the frozen dataclasses of `darts_tf.configs`.
        argv: The words after the command's name.
        prog: The program as its help shows it, as in "darts-tf search".

    Raises:
        UsageError: Unknown flag, missing flag or a value that cannot be, in one line.
        InputError: Unknown preset.
        SystemExit: With status 0, once help is printed.
    """
    if set(HELP) & set(argv):
        default = _defaults(config_class, argv)
        return tyro.cli(config_class, args=HELP[:1], default=default, prog=prog)
    _check_flags(config_class, argv)
    begun = _begun(config_class, argv) if RESUME in argv else None
    default = begun or _defaults(config_class, argv)
    messages = io.StringIO()
    try:
        with _unwrapped(), contextlib.redirect_stderr(messages):
            config = tyro.cli(config_class, args=argv, default=default, prog=prog)
    except SystemExit:
        raise UsageError(_one_line(messages.getvalue(), config_class)) from None
    if begun:
        _check_same(begun, config)
    return config


def _begun(config_class, argv: Sequence[str]):
    """The settings of the run to resume."""
    from darts_tf.beginning import resumed  # NumPy comes with it: not for every command line

    return resumed(config_class, _value_of("--workdir", argv))


def _check_same(begun, config) -> None:
    from darts_tf import beginning, runs

    # one dataset has several names: it is compared when it has been loaded
    then, now = ({**c.to_dict(), "dataset": None} for c in (begun, config))
    beginning.check_settings(begun.workdir / runs.CONFIG, then, now)


def flags(config_class) -> dict[str, dataclasses.Field]:
    """The flags of a config's fields, `--no-` forms among them."""
    hints = typing.get_type_hints(config_class, include_extras=True)
    found = {}
    for field in dataclasses.fields(config_class):
        if typing.get_origin(hints[field.name]) is typing.Annotated:
            continue  # positional
        flag = field.name.replace("_", "-")
        found[f"--{flag}"] = field
        if isinstance(field.default, bool):
            found[f"--no-{flag}"] = field
    return found


def _check_flags(config_class, argv: Sequence[str]) -> None:
    known = flags(config_class)
    given = [word.partition("=")[0].replace("_", "-") for word in argv if word.startswith("--")]
    for flag in given:
        if flag not in known:
            alike = nearest(flag, known)
            hint = f" Did you mean {alike}?" if alike else ""
            raise UsageError(f"Expected a flag that --help lists. Received: {flag}.{hint}")
    needed = {"--workdir"} if RESUME in given else known  # a resumed run knows the rest
    missing = [flag for flag in needed if _is_required(known[flag]) and flag not in given]
    if missing:
        raise UsageError(f"Expected {' and '.join(missing)}. Received: none")


def _is_required(field: dataclasses.Field) -> bool:
    return field.default is dataclasses.MISSING


def _defaults(config_class, argv: Sequence[str]):
    """An unchecked config to start from: the preset's values, and `tyro.MISSING` for required."""
    preset = preset_fields(config_class, _preset_of(argv)) if config_class in PRESETS else {}
    blank = object.__new__(config_class)
    for field in dataclasses.fields(config_class):
        default = tyro.MISSING if _is_required(field) else field.default
        object.__setattr__(blank, field.name, preset.get(field.name, default))
    return blank


def _preset_of(argv: Sequence[str]) -> str:
    return _value_of("--preset", argv) or RunConfig.preset


def _value_of(flag: str, argv: Sequence[str]) -> str:
    """What was given for a flag, the last time; empty where it was not."""
    value = ""
    for word, following in itertools.pairwise([*argv, ""]):
        if word == flag and following:
            value = following
        elif word.startswith(f"{flag}="):
            value = word.partition("=")[2]
    return value


@contextlib.contextmanager
def _unwrapped() -> Iterator[None]:
    """Messages in lines as long as they need, not folded to the terminal."""
    columns = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = "100000"
    try:
        yield
    finally:
        os.environ.pop("COLUMNS")
        if columns is not None:
            os.environ["COLUMNS"] = columns


def _one_line(box: str, config_class) -> str:
    """The first paragraph below the title of a message in a box, drawn in Unicode or in ASCII."""
    rows = [line.strip("│| ") for line in box.splitlines()[1:]]
    rows = [row if row.strip("╭╮╰╯─+- ") else "" for row in rows]
    paragraph = itertools.takewhile(bool, itertools.dropwhile(lambda row: not row, rows))
    text = " ".join(row.strip() for row in paragraph) or " ".join(box.split())
    return text.removeprefix(f"Error parsing {config_class.__name__}: ").removeprefix(
        "Error parsing "
    )
