"""From the command line to a config: flags are the config's fields, by `tyro`."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import itertools
import os
import pathlib
import re
import typing
from collections.abc import Iterator, Mapping, Sequence

import tyro
from darts_tf.cli.options import Common, with_options

from darts_tf import configs, registry
from darts_tf.configs import RunConfig, preset_fields, text_datasets
from darts_tf.errors import InputError, nearest, unknown_name

HELP = ("-h", "--help")
RESUME = "--resume"


class UsageError(InputError):
    """The command line itself is wrong."""


def common(kind: type[Common], argv: Sequence[str]) -> tuple[Common, list[str]]:
    """What `argv` says for the options that every command has, and the words that are left.

    Raises:
        UsageError: A value that cannot be, in one line.
    """
    if set(HELP) & set(argv):
        left = [word for word in argv if word not in HELP]
        found, _ = _parsed(kind, left, return_unknown_args=True)
        return found, list(argv)
    return _parsed(kind, argv, return_unknown_args=True)


def parse(
    config_class,
    argv: Sequence[str],
    prog: str,
    file: pathlib.Path | None = None,
    common: type[Common] = Common,
):
    """The config that `argv` asks for.

    Args:
        config_class: One of the frozen dataclasses of `darts_tf.configs`; for a run on text, what
            `configs.ON_TEXT` has in its place is made.
        argv: The words after the command's name.
        prog: The program as its help shows it, as in "darts-tf search".
        file: JSON of settings that flags go before.
        common: The options beside the config's, for help.

    Raises:
        UsageError: Unknown flag, missing flag or a value that cannot be, in one line.
        InputError: Unknown preset, or the file cannot be used.
        SystemExit: With status 0, once help is printed.
    """
    stored = _stored(file) if file else {}
    config_class = _kind(config_class, argv, stored)
    if set(HELP) & set(argv):
        shown = with_options(config_class, common)
        default = _defaults(shown, argv, {})
        return tyro.cli(shown, args=HELP[:1], default=default, prog=prog)
    if file:
        stored = _usable(config_class, argv, stored, file)
    _check_flags(config_class, argv, stored)
    begun = _begun(config_class, argv) if RESUME in argv else None
    default = begun or _defaults(config_class, argv, stored)
    config = _parsed(config_class, argv, default=default, prog=prog)
    if begun:
        _check_same(begun, config)
    return config


def _parsed(config_class, argv: Sequence[str], **options):
    """What `tyro` makes of words."""
    messages = io.StringIO()
    try:
        with _unwrapped(), contextlib.redirect_stderr(messages):
            return tyro.cli(config_class, args=argv, **options)
    except SystemExit:
        raise UsageError(_one_line(messages.getvalue(), config_class)) from None


def _stored(file: pathlib.Path) -> dict[str, object]:
    """The object of a file with settings."""
    from darts_tf.runs import files  # as in `_begun`

    stored = files.read_json(file)
    if not isinstance(stored, dict):
        raise InputError(f"{file}: Expected a JSON object of settings. Received: {stored!r:.50}")
    return stored


def _usable(config_class, argv: Sequence[str], stored: dict[str, object], file: pathlib.Path):
    """The settings of a file for this command, each of them checked."""
    if RESUME in argv:
        raise UsageError("Expected one of --config and --resume. Received: both")
    preset = _value_of("--preset", argv)
    if preset and stored.get("preset", preset) != preset:
        raise UsageError(
            f"Expected the preset of the settings in {file}, {stored['preset']}, or settings "
            f"without one. Received: --preset {preset}"
        )
    try:
        return config_class.some_from_dict(stored)
    except InputError as error:
        raise InputError(f"{file}: {error}") from error


def _kind(config_class, argv: Sequence[str], stored: Mapping[str, object]):
    """The class itself, or that for a text: by the run to resume, the dataset, or the preset."""
    on_text = configs.ON_TEXT.get(config_class)
    if on_text is None:
        return config_class
    if RESUME in argv:
        text = _is_run_on_text(_value_of("--workdir", argv))
    else:
        dataset, preset = (
            _value_of(f"--{name}", argv) or str(stored.get(name) or "")
            for name in ("dataset", "preset")
        )
        only_text = preset in on_text.presets and preset not in config_class.presets
        text = only_text or bool(dataset and text_datasets.is_text(dataset))
    return on_text if text else config_class


def _is_run_on_text(workdir: str) -> bool:
    """Returns whether a folder holds a run on text."""
    from darts_tf.runs import files

    if not files.is_run(workdir):
        return False
    return configs.kind_of(files.read_json(os.path.join(workdir, files.CONFIG))).on_text


def _begun(config_class, argv: Sequence[str]):
    """The settings of the run to resume."""
    from darts_tf.runs.folder import resumed  # NumPy comes with it: not for every command line

    return resumed(config_class, _value_of("--workdir", argv))


def _check_same(begun, config) -> None:
    from darts_tf.runs import files
    from darts_tf.runs import folder as run_folder

    # one dataset has several names: it is compared when it has been loaded
    then, now = ({**c.to_dict(), "dataset": None} for c in (begun, config))
    run_folder.check_same_settings(begun.workdir / files.CONFIG, then, now, config.may_differ)


def flags(config_class) -> dict[str, dataclasses.Field]:
    """The flags of a config's fields, `--no-` forms among them."""
    hints = typing.get_type_hints(config_class, include_extras=True)
    found = {}
    for field in dataclasses.fields(config_class):
        if tyro.conf.Positional in getattr(hints[field.name], "__metadata__", ()):
            continue
        flag = field.name.replace("_", "-")
        found[f"--{flag}"] = field
        if isinstance(field.default, bool):
            found[f"--no-{flag}"] = field
    return found


def _check_flags(config_class, argv: Sequence[str], stored: Mapping[str, object]) -> None:
    known = flags(config_class)
    given = [word.partition("=")[0].replace("_", "-") for word in argv if word.startswith("--")]
    for flag in given:
        if flag not in known:
            raise UsageError(_unknown(flag, config_class))
    needed = {"--workdir"} if RESUME in given else known  # a resumed run knows the rest
    found = {*given, *(f"--{name.replace('_', '-')}" for name in stored)}
    missing = [flag for flag in needed if _is_required(known[flag]) and flag not in found]
    if missing:
        raise UsageError(f"Expected {' and '.join(missing)}. Received: none")


def _unknown(flag: str, config_class) -> str:
    for images, text in configs.ON_TEXT.items():
        for own, other, kind in ((images, text, "a text"), (text, images, "images")):
            if config_class is own and flag in flags(other):
                received = f"{flag}, which is for {kind}"
                return f"Expected a flag that --help lists for this dataset. Received: {received}"
    alike = nearest(flag, flags(config_class))
    hint = f" Did you mean {alike}?" if alike else ""
    return f"Expected a flag that --help lists. Received: {flag}.{hint}"


def _is_required(field: dataclasses.Field) -> bool:
    return field.default is dataclasses.MISSING


def _defaults(config_class, argv: Sequence[str], stored: Mapping[str, object]):
    """An unchecked config to start from, by what goes first.

    That is what is stored, the preset's values, the defaults, and `tyro.MISSING` for required.
    """
    preset = {}
    if issubclass(config_class, RunConfig):
        asked = _value_of("--preset", argv) or stored.get("preset") or config_class.preset
        preset = preset_fields(config_class, asked)
    given = {**preset, **stored}
    blank = object.__new__(config_class)
    for field in dataclasses.fields(config_class):
        default = tyro.MISSING if _is_required(field) else field.default
        object.__setattr__(blank, field.name, given.get(field.name, default))
    return blank


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
    if choice := _INVALID_CHOICE.search(text):
        name, flag, known = choice.groups()
        field = flags(config_class).get(flag)
        hint = registry.HINT if field and field.metadata.get("open") else ""
        return f"{unknown_name(flag, name, re.findall(QUOTED, known))}{hint}"
    return text.removeprefix(f"Error parsing {config_class.__name__}: ").removeprefix(
        "Error parsing "
    )


QUOTED = r"'([^']*)'"
_INVALID_CHOICE = re.compile(
    r"invalid choice '(.*)' for argument '(.*)'\. Expected one of \((.*)\)"
)
