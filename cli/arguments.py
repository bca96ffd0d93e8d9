"""Parsing of the command line into a config, whose fields are the flags, by `tyro`."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import itertools
import math
import os
import pathlib
import re
import typing
from collections.abc import Iterator, Mapping, Sequence

import tyro

from darts_tf import configs, registry
from darts_tf.cli import help as cli_help
from darts_tf.cli.options import Common
from darts_tf.configs import RunConfig, preset_fields, text_datasets
from darts_tf.configs.base import trait
from darts_tf.configs.descriptions import (
    base_type,
    descriptions,
    flag_of,
    flags_with_values,
    takes_many,
)
from darts_tf.errors import InputError, nearest, unknown_name
from darts_tf.spaces.zoo import load_genotype

RESUME = "--resume"


class UsageError(InputError):
    """Invalid command line."""


def common(kind: type[Common], argv: Sequence[str]) -> tuple[Common, list[str]]:
    """Parses the options that every command has; returns them and the remaining arguments.

    Raises:
        UsageError: An invalid value; the message is one line.
    """
    if cli_help.wants_help(argv):
        without_help = [word for word in argv if word not in cli_help.FLAGS]
        options, _ = _parse(kind, without_help, return_unknown_args=True)
        return options, list(argv)
    return _parse(kind, argv, return_unknown_args=True)


def parse(
    config_class,
    argv: Sequence[str],
    prog: str,
    file: pathlib.Path | None = None,
    common: type[Common] = Common,
):
    """Parses a command line into a config.

    Args:
        config_class: One of the frozen dataclasses of `darts_tf.configs`. For a run on text its
            counterpart in `configs.ON_TEXT` is used.
        argv: The arguments after the command's name.
        prog: Name of the program in its help, such as "darts-tf search".
        file: JSON file with settings, which flags override.
        common: Class of the options beside the config's, for help.

    Raises:
        UsageError: Unknown flag, missing flag or invalid value; the message is one line.
        InputError: Unknown preset, or a file that cannot be used.
        SystemExit: With status 0, after help has been printed.
    """
    stored = _stored(file) if file else {}
    argv = named_words(config_class, argv)
    config_class = _kind(config_class, argv, stored)
    if cli_help.wants_help(argv):
        defaults = _defaults(config_class, argv, {})
        if _lacks_dataset(config_class, argv, {}):
            object.__setattr__(defaults, "dataset", tyro.MISSING)
        every = cli_help.wants_all(argv)
        print(cli_help.command_help(config_class, defaults, prog, common, every))
        raise SystemExit(0)
    if file:
        stored = _usable(config_class, argv, stored, file)
    _check_flags(config_class, argv, stored)
    resumed = _resumed(config_class, argv) if RESUME in argv else None
    default = resumed or _defaults(config_class, argv, stored)
    config = _parse(config_class, argv, default=default, prog=prog)
    if resumed:
        _check_same(resumed, config)
    return config


def _parse(config_class, argv: Sequence[str], **options):
    """Parses arguments by `tyro`, with its error messages as one line."""
    messages = io.StringIO()
    try:
        with _unwrapped(), contextlib.redirect_stderr(messages):
            return tyro.cli(config_class, args=argv, **options)
    except SystemExit:
        raise UsageError(_one_line(messages.getvalue(), config_class)) from None


def _stored(file: pathlib.Path) -> dict[str, object]:
    """Reads a file of settings."""
    from darts_tf.runs import files  # imports NumPy, as in `_resumed`

    stored = files.read_json(file)
    if not isinstance(stored, dict):
        raise InputError(f"{file}: Expected a JSON object of settings. Received: {stored!r:.50}")
    return stored


def _usable(config_class, argv: Sequence[str], stored: dict[str, object], file: pathlib.Path):
    """Returns the settings of a file for this command, all checked."""
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
    """Returns the class for images or for text, by the resumed run, the dataset or the preset."""
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


def _resumed(config_class, argv: Sequence[str]):
    """Returns the settings of the run to resume."""
    from darts_tf.runs.folder import resumed  # imports NumPy, which most commands should not

    return resumed(config_class, _value_of("--workdir", argv))


def _check_same(resumed, config) -> None:
    from darts_tf.runs import files
    from darts_tf.runs import folder as run_folder

    # a dataset can have several names, so it is compared after it has been loaded
    then, now = ({**c.to_dict(), "dataset": None} for c in (resumed, config))
    run_folder.check_same_settings(
        resumed.workdir / files.CONFIG, then, now, config.may_differ, config.may_grow
    )


def named_words(config_class, argv: Sequence[str]) -> list[str]:
    """Returns the arguments with flags before all values: `evaluate RUN` has `--workdir RUN`.

    Raises:
        UsageError: Words that no flag precedes, for a command whose settings all have flags.
    """
    known = {**flags(configs.ON_TEXT.get(config_class, config_class)), **flags(config_class)}
    hints = typing.get_type_hints(config_class, include_extras=True)
    words, loose, room = [], [], 0
    for word in argv:
        if word.startswith("-") and (word.startswith("--") or word in ("-h", "-o")):
            room = _room(word, known, hints)
            words.append(word)
        elif room:
            room -= 1
            words.append(word)
        else:
            loose.append(word)
    fields = dataclasses.fields(config_class)
    places = [f.name for f in fields if trait(config_class, f.name, "place")]
    for name in places:
        flag, many = flag_of(name), takes_many(hints[name])
        if flag not in words and loose:
            taken, loose = (loose, []) if many else (loose[:1], loose[1:])
            words += [flag, *taken]
    if loose:
        raise UsageError(
            f"Expected a flag before every value, as in --seed 1. Received: {' '.join(loose)}"
        )
    return words


def _room(word: str, known: Mapping[str, dataclasses.Field], hints) -> float:
    """Returns the most values that may follow a word that is a flag."""
    flag, assigned, _ = word.partition("=")
    field = known.get(flag.replace("_", "-"))
    if assigned or word in cli_help.FLAGS:
        return 0
    if field is None or field.name not in hints:
        return 1
    if base_type(hints[field.name]) is bool:
        return 0
    return math.inf if takes_many(hints[field.name]) else 1


def flags(config_class) -> dict[str, dataclasses.Field]:
    """Returns the fields of a config by flag, including `--no-` forms."""
    fields = {}
    for field in dataclasses.fields(config_class):
        fields[flag_of(field.name)] = field
        if isinstance(field.default, bool):
            fields[flag_of(field.name, negated=True)] = field
    return fields


def _lacks_dataset(config_class, argv: Sequence[str], stored: Mapping[str, object]) -> bool:
    """Returns whether a run needs a dataset and none is named: none is guessed."""
    if not issubclass(config_class, RunConfig) or RESUME in argv:
        return False
    with_data = config_class.dataset_with
    if with_data and not any(f"--{name}" in argv or stored.get(name) for name in with_data):
        return False
    preset, dataset = _chosen(config_class, argv, stored)
    named = _value_of("--preset", argv) or stored.get("preset")
    return not dataset and not (named and "dataset" in preset_fields(config_class, preset))


def _check_flags(config_class, argv: Sequence[str], stored: Mapping[str, object]) -> None:
    known = flags(config_class)
    used = [word.partition("=")[0].replace("_", "-") for word in argv if word.startswith("--")]
    for flag in used:
        if flag not in known:
            raise UsageError(_unknown(flag, config_class))
    needed = {"--workdir"} if RESUME in used else known  # a resumed run has stored the rest
    set_flags = {*used, *map(flag_of, stored)}
    missing = [flag for flag in needed if _is_required(known[flag]) and flag not in set_flags]
    if _lacks_dataset(config_class, argv, stored):
        if genotype := _value_of("--genotype", argv):  # its run would name the dataset
            load_genotype(genotype, recurrent=config_class.on_text or None)
        missing.append("--dataset")
    if missing:
        needed = " and ".join(_explained(flag, config_class) for flag in missing)
        raise UsageError(f"Expected {needed}. Received: none")


def _explained(flag: str, config_class) -> str:
    """Returns a required flag with its placeholder and meaning."""
    name = flags(config_class)[flag].name
    meaning = re.split(r"[;.](?: |$)", descriptions(config_class)[name])[0]
    return f"{flags_with_values(config_class)[name]} ({meaning[0].lower()}{meaning[1:]})"


def _unknown(flag: str, config_class) -> str:
    for images, text in configs.ON_TEXT.items():
        for own, other, kind in ((images, text, "a text"), (text, images, "images")):
            if config_class is own and flag in flags(other):
                received = f"{flag}, which is for {kind}"
                return f"Expected a flag that --help-all lists for this data. Received: {received}"
    alike = nearest(flag, flags(config_class))
    hint = f" Did you mean {alike}?" if alike else ""
    return f"Expected a flag that --help-all lists. Received: {flag}.{hint}"


def _is_required(field: dataclasses.Field) -> bool:
    return field.default is dataclasses.MISSING


def _defaults(config_class, argv: Sequence[str], stored: Mapping[str, object]):
    """Returns an unchecked config of default values.

    A field has the stored value, or else the preset's, or else its default, or `tyro.MISSING`.
    """
    values = {**_suggested(config_class, argv, stored), **stored}
    blank = object.__new__(config_class)
    for field in dataclasses.fields(config_class):
        default = tyro.MISSING if _is_required(field) else field.default
        object.__setattr__(blank, field.name, values.get(field.name, default))
    return blank


def _suggested(
    config_class, argv: Sequence[str], stored: Mapping[str, object]
) -> dict[str, object]:
    """Returns the settings of preset and method, and those that follow the dataset."""
    if not issubclass(config_class, RunConfig):
        return {}
    preset, dataset = _chosen(config_class, argv, stored)
    method = _value_of("--method", argv) or stored.get("method")
    of_cells = {n: _value_of(f"--{n}", argv) or stored.get(n, "") for n in ("space", "genotype")}
    fields = preset_fields(config_class, preset, method, of_cells)
    if dataset:
        fields["dataset"] = dataset
    if config_class.on_text or cli_help.wants_help(argv):
        return fields
    return {**fields, **_of_images(config_class, fields, argv, stored)}


def _chosen(config_class, argv: Sequence[str], stored) -> tuple[str, str | None]:
    """Returns preset and dataset: those that are set, or those that follow from others."""
    preset, dataset = (
        _value_of(f"--{name}", argv) or stored.get(name) for name in ("preset", "dataset")
    )
    if dataset is None and (preset is None or "dataset" not in preset_fields(config_class, preset)):
        genotype = _value_of("--genotype", argv) or _value_of("--genotypes", argv)
        genotype = genotype.split(",")[0] or str(stored.get("genotype") or "")
        if genotype:
            from darts_tf.runs import files  # imports NumPy, as in `_resumed`

            dataset = files.searched_on(genotype)
    if preset is None:
        embedded = config_class.on_text or dataset in (None, config_class.dataset)
        preset = config_class.preset if embedded else "photos"
    return preset, dataset


def _of_images(
    config_class, fields: Mapping[str, object], argv: Sequence[str], stored: Mapping[str, object]
) -> dict[str, object]:
    """Returns settings that follow the number and the size of a folder's images."""
    from darts_tf.data import defaults, layouts  # import NumPy and Pillow, no TensorFlow

    dataset = fields.get("dataset")
    if not dataset or not layouts.is_image_folder(str(dataset)):
        return {}
    names = ("limit", "image_size", "validation_split")
    options = {name: _value_of(flag_of(name), argv) for name in names}
    options = {name: value or stored.get(name, fields.get(name)) for name, value in options.items()}
    try:
        limit, image_size = (int(options[name]) if options[name] else None for name in names[:2])
        held_out = float(options["validation_split"] or 0.0)
    except ValueError:  # reported when all flags are parsed
        return {}
    searches = config_class.searches
    count = defaults.images_per_epoch(dataset, searches=searches, limit=limit, held_out=held_out)
    if fields["preset"] == "photos":
        return defaults.of_folder(dataset, count, searches=searches, image_size=image_size)
    return {"batch_size": max(1, min(count, fields.get("batch_size", config_class.batch_size)))}


def _value_of(flag: str, argv: Sequence[str]) -> str:
    """Returns the last value of a flag; an empty string if it is not set."""
    value = ""
    for word, following in itertools.pairwise([*argv, ""]):
        if word == flag and following:
            value = following
        elif word.startswith(f"{flag}="):
            value = word.partition("=")[2]
    return value


@contextlib.contextmanager
def _unwrapped() -> Iterator[None]:
    """Context manager: keeps `tyro` from wrapping its messages to the terminal's width."""
    columns = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = "100000"
    try:
        yield
    finally:
        os.environ.pop("COLUMNS")
        if columns is not None:
            os.environ["COLUMNS"] = columns


def _one_line(box: str, config_class) -> str:
    """Returns the first paragraph below the title of a boxed message, in Unicode or ASCII."""
    rows = [line.strip("│| ") for line in box.splitlines()[1:]]
    rows = [row if row.strip("╭╮╰╯─+- ") else "" for row in rows]
    paragraph = itertools.takewhile(bool, itertools.dropwhile(lambda row: not row, rows))
    text = " ".join(row.strip() for row in paragraph) or " ".join(box.split())
    if choice := _INVALID_CHOICE.search(text):
        name, flag, known = choice.groups()
        field = flags(config_class).get(flag)
        hint = registry.HINT if field and field.metadata.get("open") else ""
        return f"{unknown_name(flag, name, re.findall(QUOTED, known))}{hint}"
    if number := _INVALID_NUMBER.search(text):
        flag, kind, value = number.groups()
        expected = "a whole number" if kind.startswith("invalid") else "a number"
        return f"Expected {flag} to be {expected}. Received: {flag}={value}"
    return text.removeprefix(f"Error parsing {config_class.__name__}: ").removeprefix(
        "Error parsing "
    )


QUOTED = r"'([^']*)'"
_INVALID_NUMBER = re.compile(
    r"(--[\w-]+): (invalid literal for int\(\) with base 10|could not convert string to float): "
    r"('.*?')"
)
_INVALID_CHOICE = re.compile(
    r"invalid choice '(.*)' for argument '(.*)'\. Expected one of \((.*)\)"
)
