"""The environment that a command starts in: Keras' settings, streams, terminals."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys

import keras
import pytest
from cli_helpers import replace_commands

from darts_tf import configs
from darts_tf.cli import startup
from darts_tf.cli.main import main
from darts_tf.data import load_dataset
from darts_tf.errors import InputError
from darts_tf.runtime.execution import check_keras
from darts_tf.spaces.zoo import GENOTYPES
from darts_tf.training.images import train

ROOT = pathlib.Path(__file__).resolve().parents[2]

FOREIGN = {
    "backend": "jax",
    "floatx": "float16",
    "image_data_format": "channels_first",
    "epsilon": 1e-7,
}
"""A keras.json as other programs leave it."""


def inherited() -> dict[str, str]:
    """Returns the environment without what this process has set for TensorFlow."""
    return {name: value for name, value in os.environ.items() if not name.startswith("TF_")}


def program(*words: str, **options) -> subprocess.CompletedProcess:
    """Runs the program in a new process."""
    command = [sys.executable, "-m", "darts_tf.cli", *words]
    options = {"cwd": ROOT, "capture_output": True, "text": True, "timeout": 120, **options}
    return subprocess.run(command, check=False, **options)


def test_keras_of_others_is_set_to_ours(tmp_path):
    (tmp_path / ".keras").mkdir()
    (tmp_path / ".keras" / "keras.json").write_text(json.dumps(FOREIGN))
    code = """
import os
from darts_tf.cli import startup
startup.set_environment()
startup.start_tensorflow()
import keras
settings = keras.config
print(settings.backend(), settings.floatx(), settings.image_data_format())
print(settings.dtype_policy().name, keras.metrics.Mean().dtype, startup.LEGACY in os.environ)
"""
    environment = {"HOME": str(tmp_path), "KERAS_BACKEND": "torch", "TF_USE_LEGACY_KERAS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**inherited(), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    assert done.stdout.split() == [
        *("tensorflow", "float32", "channels_last"),
        *("float32", "float32", "False"),
    ]


def test_every_command_sets_the_environment(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    monkeypatch.setenv(startup.LEGACY, "1")
    seen = []

    def run(config):
        seen.append((os.environ["KERAS_BACKEND"], startup.LEGACY in os.environ))
        return 0

    replace_commands(monkeypatch, run)
    assert main(["search", "--dataset", "digits", "--workdir", "run"]) == 0
    assert seen == [("tensorflow", False)]


@pytest.mark.parametrize(
    ("name", "value", "usual"),
    [
        ("floatx", "float16", "float32"),
        ("floatx", "float64", "float32"),
        ("image_data_format", "channels_first", "channels_last"),
    ],
)
def test_other_settings_of_keras_are_refused_in_programs_and_leave_no_folder(
    tmp_path, name, value, usual
):
    change = getattr(keras.config, f"set_{name}")
    dataset = load_dataset("digits", limit=32)
    settings = {"genotype": "DARTS_V1", "workdir": tmp_path / "run"}
    config = configs.TrainConfig.from_preset("tiny", **settings)
    change(value)
    try:
        with pytest.raises(InputError, match=rf"{name}={usual}, .*set_{name}\('{usual}'\) sets"):
            train(config, GENOTYPES["DARTS_V1"], dataset)
    finally:
        change(usual)
    assert list(tmp_path.iterdir()) == []
    check_keras()


# Streams


@pytest.mark.parametrize("closed", ["stdout", "stderr", "both"])
def test_closed_streams_are_no_failure(closed, tmp_path):
    """A file that is opened later must not become standard output."""
    numbers = {"stdout": (1,), "stderr": (2,), "both": (0, 1, 2)}[closed]
    words = [sys.executable, "-m", "darts_tf.cli", "help"]
    shell = f"exec {' '.join(words)} {' '.join(f'{number}>&-' for number in numbers)}"
    done = subprocess.run(["sh", "-c", shell], cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == 0
    assert done.stderr == b""


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_terminal_of_any_encoding_gets_all_names(encoding, tmp_path):
    environment = {**inherited(), "PYTHONIOENCODING": encoding, "LC_ALL": "C"}
    name = "фото 猫 \udcff"
    done = program("inspect", name, cwd=tmp_path, env=environment, encoding=encoding)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("darts-tf: error: Expected genotype to be")
    done = program("help", "search", cwd=tmp_path, env=environment, encoding=encoding)
    assert (done.returncode, done.stderr) == (0, "")


def test_program_needs_no_home(tmp_path):
    environment = {name: value for name, value in inherited().items() if name != "HOME"}
    done = program("inspect", "DARTS_V2", "--notation", "python", env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Genotype(")


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_plain_terminals_get_plain_text(name, value, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv(name, value)
    monkeypatch.setenv("FORCE_COLOR", "" if name == "TERM" else "1")
    assert main(["search", "--help"]) == 0
    assert "\x1b" not in capsys.readouterr().out
