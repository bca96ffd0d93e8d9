"""Files and folders that settings name: what is there, and what is meant by it.

All checks run before TensorFlow starts, which takes seconds. Every command takes the folder of a
run wherever its genotype, its network or its export is meant.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import os
import pathlib
import re
import shlex
from collections.abc import Callable, Mapping

from darts_tf import configs, plugins, registry
from darts_tf.configs import base
from darts_tf.configs.base import Config, trait
from darts_tf.configs.descriptions import flag_words
from darts_tf.configs.presets import TRAINED_BY
from darts_tf.configs.text_datasets import EMBEDDED_TEXTS
from darts_tf.errors import InputError
from darts_tf.runtime.inputs import not_there, similar
from darts_tf.runtime.outputs import check_output_file, free_folder

EMBEDDED = ("digits", *EMBEDDED_TEXTS)

SHARED = ("TF_CONFIG", "KERASTUNER_TUNER_ID")
"""Variables of the environment that make a process one of several in the same folder."""


def checked(config: Config) -> Config:
    """Checks the files and folders that settings name; returns the settings with what is meant.

    Raises:
        InputError: something is missing, is of another kind or is in the way.
    """
    changed = {}
    for field in dataclasses.fields(config):
        check = CHECKS.get(trait(type(config), field.name, "names"))
        value = getattr(config, field.name)
        if check and value not in (None, "", ()):
            found = check(config, field.name, value)
            if found != value:
                changed[field.name] = found
    return dataclasses.replace(config, **changed) if changed else config


def _refusal(name: str, expected: str, value: object, problem: str) -> InputError:
    """Returns the error for a setting that names something wrong."""
    return InputError(f"Expected {name} to be {expected}. Received: {str(value)!r}, {problem}")


def command(*words: object) -> str:
    """Returns a command line of `darts-tf`, with the plugins of this one, to paste into a shell."""
    scripts = [word for plugin in plugins.loaded() for word in ("--plugin", plugin)]
    return shlex.join(map(str, ["darts-tf", *words, *scripts]))


# Runs


def _stored(folder: pathlib.Path) -> Mapping[str, object] | None:
    """Returns the stored settings of the run in a folder; None if there is no run."""
    from darts_tf.runs import files  # imports NumPy

    return files.read_json(folder / files.CONFIG) if files.is_run(folder) else None


def _run(name: str, value: pathlib.Path, wanted: str) -> tuple[pathlib.Path, type, Mapping]:
    """Returns the folder of a run, which the folder or one of its files names, and its settings.

    Raises:
        InputError: there is no run.
    """
    from darts_tf.runs import files

    folder = pathlib.Path(value).expanduser()
    if folder.is_file() and folder.name in files.NAMES:
        folder = folder.parent
    if not folder.exists():
        raise _refusal(name, wanted, value, not_there(value))
    stored = _stored(folder)
    if stored is None:
        raise _refusal(name, wanted, value, _what(folder))
    return folder, configs.kind_of(stored), stored


def _what(folder: pathlib.Path) -> str:
    """Says what a path is that is no run, and which run below it may be meant."""
    from darts_tf.runs import files

    if folder.is_file():
        return "a file"
    if (folder / "export_report.json").is_file():
        return "an export; name the run that it was made of"
    below = sorted(path.parent for path in folder.glob(f"*/{files.CONFIG}"))
    hint = f"; did you mean {below[0]}?" if below else ""
    return f"a folder without a run{hint}"


def training(config: Config, name: str, value: pathlib.Path) -> pathlib.Path:
    """Returns the folder of a finished training.

    Raises:
        InputError: it is something else; the message says what to do.
    """
    from darts_tf.runs import files

    expected = "the folder of a training run"
    folder, kind, stored = _run(name, value, expected)
    if kind.trains and (folder / files.MODEL).is_file():
        return folder
    raise _refusal(name, expected, value, _untrained(folder, kind, stored))


def _untrained(folder: pathlib.Path, kind: type, stored: Mapping[str, object]) -> str:
    """Says why a run has no network, and how to get one."""
    from darts_tf.runs import files

    if kind.trains:
        resume = command(kind.command, "--workdir", folder, "--resume")
        return f"which has not finished; resume it first: {resume}"
    if kind.searches:
        return f"which is a search; train its genotype first: {train_command(folder, stored)}"
    below = sorted(path.parent for path in folder.rglob(files.MODEL))
    hint = f"; name one of them, such as {below[0]}" if below else ", none of them finished"
    return f"which holds {kind.inner_runs}{hint}"


def train_command(folder: pathlib.Path, stored: Mapping[str, object]) -> str:
    """Returns the command that trains the cells of a search on its data, in a free folder.

    Args:
        folder: folder of the search.
        stored: settings of the search.
    """
    kind = configs.kind_of(stored)
    recipe = configs.TextTrainConfig if kind.on_text else configs.TrainConfig
    words = ["train", "--genotype", folder]
    preset = TRAINED_BY.get(stored.get("preset"), stored.get("preset"))
    defaults = {field.name: field.default for field in dataclasses.fields(recipe)}
    if preset in recipe.presets and preset != defaults["preset"]:
        words += ["--preset", preset]
        defaults |= recipe.presets[preset]
    for name in _OF_DATA[kind.on_text]:
        value = stored.get(name)
        if value is not None and (value != defaults[name] or name == "dataset"):
            words += flag_words(name, value)
    return command(*words, "--workdir", _next_to(folder, "train"))


def _shared(searching: type, training: type) -> tuple[str, ...]:
    """Returns the settings on data that a training takes over from a search."""
    names = {field.name for field in dataclasses.fields(searching)}
    of_data = (
        field.name
        for field in dataclasses.fields(training)
        if field.name in names and trait(training, field.name, "group") == base.GROUPS[0]
    )
    own = ("workdir", "overwrite", "resume")
    return tuple(name for name in (*of_data, *_AUGMENTATION, "seed") if name in names - {*own})


_AUGMENTATION = ("crop_padding", "flip", "cutout")

_OF_DATA = {
    False: _shared(configs.SearchConfig, configs.TrainConfig),
    True: _shared(configs.TextSearchConfig, configs.TextTrainConfig),
}


def _next_to(folder: pathlib.Path, step: str) -> pathlib.Path:
    """Returns a free folder beside that of a run for the next step, named after it."""
    name = folder.resolve().name
    for earlier in ("search", "train"):
        if earlier in name:
            return free_folder(folder.parent / name.replace(earlier, step))
    return free_folder(folder.parent / f"{name}-{step}")


def export_folder(run: pathlib.Path) -> pathlib.Path:
    """Returns a free folder for the export of a run."""
    return _next_to(run, "export")


def search(config: Config, name: str, value: pathlib.Path) -> pathlib.Path:
    """Returns the folder of a search.

    Raises:
        InputError: it is something else; the message says what to do.
    """
    expected = "the folder of a search"
    folder, kind, stored = _run(name, value, expected)
    if kind.searches:
        return folder
    problem = f"which is a {kind.kind}"
    if "genotype" in stored:
        problem += f" of the genotype {stored['genotype']}"
    raise _refusal(name, expected, value, problem)


def model(config: Config, name: str, value: pathlib.Path) -> pathlib.Path:
    """Returns a path that may hold a network.

    Raises:
        InputError: there is nothing, or a run without a network.
    """
    from darts_tf.runs import files

    path = pathlib.Path(value).expanduser()
    expected = "a training run, an export or a file of a network"
    if not path.exists():
        raise _refusal(name, expected, value, not_there(value))
    stored = _stored(path) if path.is_dir() else None
    if stored is not None and not (path / files.MODEL).is_file():
        problem = _untrained(path, configs.kind_of(stored), stored)
        raise _refusal(name, expected, value, problem)
    return path


def export(config: Config, name: str, value: pathlib.Path) -> pathlib.Path:
    """Returns the folder of an export; for the folder of a training the newest one beside it.

    Raises:
        InputError: the training has not been exported.
    """
    from darts_tf.report.job_tables import EXPORT, genotype_exported
    from darts_tf.runs import files

    path = model(config, name, value)
    if not path.is_dir() or _stored(path) is None or (path / "saved_model").is_dir():
        return path
    own = files.read_json(path / files.GENOTYPE)
    beside = [each.parent for each in path.resolve().parent.glob(f"*/{EXPORT}")]
    exports = [folder for folder in beside if genotype_exported(folder) == own]
    if exports:
        return max(exports, key=lambda folder: (folder / EXPORT).stat().st_mtime)
    cure = command("export", path, "--output", export_folder(path))
    problem = f"a training that has not been exported: {cure}"
    raise _refusal(name, "the folder of an export", value, problem)


def use_command(exported: pathlib.Path, run: pathlib.Path) -> str:
    """Returns a command that uses an export: on an image or a text of its data, if there is one.

    Args:
        exported: folder of the export.
        run: folder of its training run.
    """
    from darts_tf.runs import files

    if files.is_text_run(run):
        return command("sample", exported, "--words", 50)
    data = pathlib.Path(str((_stored(run) or {}).get("dataset", "")))
    images = (path for path in data.rglob("*") if path.suffix.lower() in (".jpg", ".png", ".jpeg"))
    if data.is_absolute() and (image := next(images, None)):
        return command("predict", "--model", exported, image)
    return command("report", run, "--export", exported)


# Genotypes and data


def genotypes(kind: bool | None) -> Callable:
    """Returns a check of one genotype or of several, given by names, files or folders of runs.

    Args:
        kind: whether recurrent cells are expected; None for cells of any kind.
    """

    def check(config: Config, name: str, value):
        from darts_tf.spaces.zoo import load_genotype

        # a resumed run has a copy, and pictures of a search need only its alphas
        if any(getattr(config, name, False) for name in ("resume", "supernet", "animate")):
            return value
        recurrent = kind if kind is not None else getattr(config, "recurrent", False) or None
        for each in value if isinstance(value, tuple) else (value,):
            load_genotype(each, recurrent=recurrent)
        return value

    return check


def dataset(config: Config, name: str, value: str) -> str:
    """Checks that a dataset has a known name, or is a path that exists.

    Raises:
        InputError: neither; the message names a similar folder or name.
    """
    path = os.path.expanduser(value)
    if value in EMBEDDED or value in registry.DATASETS or os.path.exists(path):
        return value
    is_path = value.startswith(("~", ".", os.sep)) or value.endswith(os.sep)
    is_slip = is_path or ((alike := similar(value)) and alike.is_dir())
    if is_path or (is_slip and not _is_published(value)):
        expected = "a folder or the name of a dataset"
        raise _refusal(name, expected, value, not_there(value))
    return value


def _is_published(name: str) -> bool:
    """Returns whether TFDS has code for a dataset of images of this name, without importing it."""
    spec = importlib.util.find_spec("tensorflow_datasets")
    if spec is None or spec.origin is None:
        return False
    base_name = re.split("[/:]", name)[0]
    package = pathlib.Path(spec.origin).parent
    if (package / "datasets" / base_name).is_dir():
        return True
    wanted = base_name.replace("_", "").lower()
    scripts = (script for room in _IMAGE_ROOMS for script in (package / room).glob("*.py"))
    texts = (script.read_text(encoding="utf-8") for script in scripts)
    return any(wanted in map(str.lower, re.findall(r"^class (\w+)", t, re.M)) for t in texts)


_IMAGE_ROOMS = ("image", "image_classification", "object_detection")
"""Folders of TFDS with code for datasets of images, a class of CamelCase for each."""


# Files


def file(config: Config, name: str, value):
    """Checks that one file exists, or each of several.

    Raises:
        InputError: one does not exist, or is a folder.
    """
    for each in value if isinstance(value, tuple) else (value,):
        path = pathlib.Path(each).expanduser()
        if not path.exists():
            raise _refusal(name, "a file", each, not_there(each))
        if path.is_dir():
            raise _refusal(name, "a file", each, "a folder")
    return value


def folder(config: Config, name: str, value: pathlib.Path) -> pathlib.Path:
    """Checks that a folder exists.

    Raises:
        InputError: it does not, or it is a file.
    """
    if not pathlib.Path(value).expanduser().is_dir():
        problem = "a file" if pathlib.Path(value).exists() else not_there(value)
        raise _refusal(name, "a folder", value, problem)
    return value


def file_to_write(config: Config, name: str, value: pathlib.Path) -> pathlib.Path:
    """Checks the place of a file that will be written; see `check_output_file`."""
    check_output_file(name, value, getattr(config, "overwrite", None))
    return value


def run_to_make(config: Config, name: str, value: pathlib.Path) -> pathlib.Path:
    """Checks the folder of a run that will start: it is free, or has the run to resume.

    Raises:
        InputError: it is in use.
    """
    if any(variable in os.environ for variable in SHARED):
        return value  # another process may have made the folder already
    from darts_tf.runs import files
    from darts_tf.runs import folder as run_folder

    resumes = hasattr(config, "resume")
    options = {} if resumes else {"instead": "--overwrite"}
    run_folder.check_workdir(
        value,
        overwrite=config.overwrite,
        resume=resumes and config.resume,
        name=name,
        **options,
    )
    alone = not getattr(config, "inner_runs", "")
    if alone and (pathlib.Path(value) / files.LOCK).is_file():
        with run_folder.locked(pathlib.Path(value)):
            pass
    return value


def demo_to_make(config: Config, name: str, value: pathlib.Path) -> pathlib.Path:
    """Checks the folders of a demo's three steps."""
    from darts_tf.runs import folder as run_folder

    for step in ("search", "train"):
        run_folder.check_workdir(value / step, overwrite=config.overwrite, instead="--overwrite")
    return export_to_make(config, name, value / "export").parent


def export_to_make(config: Config, name: str, value: pathlib.Path) -> pathlib.Path:
    """Checks the folder of an export that will be written; see `export.folder.check_output`."""
    from darts_tf.export import folder as exports

    exports.check_output(value, config.overwrite)
    return value


CHECKS = {
    "dataset": dataset,
    "demo to make": demo_to_make,
    "export": export,
    "export to make": export_to_make,
    "file": file,
    "file to write": file_to_write,
    "files": file,
    "folder": folder,
    "genotype": genotypes(False),
    "genotype of any kind": genotypes(None),
    "genotypes": genotypes(False),
    "model": model,
    "recurrent genotype": genotypes(True),
    "run to make": run_to_make,
    "search": search,
    "training": training,
}
"""Checks by what a setting `names`, see `configs.base.setting`."""
