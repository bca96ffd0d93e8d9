"""A script outside the package that registers an entry of every kind, used from end to end.

The script is that of docs/extending.md.
"""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess
import sys

import pytest
from clean_registry import registrations_taken_back
from cli_helpers import one_line_of_wrong_use, replace_commands
from mostly_slow import mostly_slow

import darts_tf.cli.commands.launch
from darts_tf import plugins
from darts_tf.cli.main import main
from darts_tf.runs import files
from darts_tf.runs.alphas import load_alphas, load_space
from darts_tf.runtime import distribution
from darts_tf.runtime.processes import Outcome
from darts_tf.spaces.derivation import derive
from darts_tf.spaces.genotype import Genotype
from darts_tf.spaces.search_spaces import SPACES, Space

ROOT = pathlib.Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
CHANNELS, SIDE = 2, 8
BY_EDGE = ((("skip_connect", "ghost_conv"),) * 5, (("none", "max_pool_3x3", "ghost_conv"),) * 5)
OWN = {"space": "ghosts", "dataset": "stripes", "arch_gradient": "mixed_level"}


def darts(*words):
    return main([str(word) for word in words])


SEARCH = ["search", "--dataset", "digits"]


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """Folder with the script and the run of a search with all its entries."""
    folder = tmp_path_factory.mktemp("plugin")
    script = folder / "my_ops.py"
    script.write_text("\n".join(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)))
    own = [word for name, value in OWN.items() for word in (f"--{name.replace('_', '-')}", value)]
    words = [
        "--preset",
        "tiny",
        "--dataset",
        "stripes",
        "--selection",
        "without_none",
        "--workdir",
        folder / "search",
    ]
    with registrations_taken_back():
        assert darts("search", "--plugin", script, *own, *words) == 0
    return folder


@pytest.fixture
def plugged_in(searched):
    """The plugin's flag; the script's registrations are removed after the test."""
    with registrations_taken_back():
        yield f"--plugin={searched / 'my_ops.py'}"


def chosen(searched):
    return Genotype.from_json((searched / "search" / files.GENOTYPE).read_text())


def test_search_ends_with_cells_of_that_space_by_that_rule(searched, plugged_in):
    plugins.load_plugin(plugged_in.partition("=")[2])
    alphas = load_alphas(searched / "search")
    assert [array.shape for array in alphas] == [(5, 2), (5, 3)]
    derived = (BY_EDGE[0], tuple(names[1:] for names in BY_EDGE[1]))
    assert chosen(searched) == derive(alphas[0], alphas[1][:, 1:], edge_primitives=derived)
    assert len(chosen(searched).normal) == 4


def test_run_holds_names_and_no_script(searched):
    config = json.loads((searched / "search" / files.CONFIG).read_text())
    own = {**OWN, "selection": "without_none"}
    assert {name: config[name] for name in own} == own
    texts = (path.read_bytes() for path in (searched / "search").rglob("*.json*"))
    assert not any(b"my_ops" in text for text in texts)


def test_run_says_what_its_columns_are(searched, plugged_in):
    plugins.load_plugin(plugged_in.partition("=")[2])
    assert load_space(searched / "search") == SPACES["ghosts"] == Space(2, BY_EDGE)


def test_primitive_is_shown_with_its_export_check(plugged_in, capsys):
    assert darts("inspect", "--primitive", "ghost_conv", "--channels", 6, plugged_in) == 0
    out = capsys.readouterr().out
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in out.splitlines()]
    (row,) = (row for row in rows if row[:2] == ["2", "7x5"])
    params = 6 * 3 + 9 * 3 + 2 * 6
    assert row[2:4] == [str(params), str(4 * 3 * 3 * (6 + 9))]
    assert float(row[4]) < 1e-4
    assert row[5:] == ["1", "nothing"]


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["search", "--resume", "--workdir", "{}/search"], "arch_gradient='mixed_level'"),
        (["derive", "--workdir", "{}/search"], "arch_gradient='mixed_level'"),
        (["inspect", "--genotype", "{}/search/genotype.json"], "normal[0]='ghost_conv'"),
        (["inspect", "--primitive", "ghost_conv"], "primitive='ghost_conv'"),
        (
            ["search", "--workdir", "{}/new", "--dataset", "digits", "--space", "ghosts"],
            "--space='ghosts'",
        ),
        (
            ["search", "--workdir", "{}/new", "--dataset", "digits", "--selection", "without"],
            "--selection='without'",
        ),
        (["search", "--workdir", "{}/new", "--dataset", "stripes"], "Received: stripes"),
    ],
)
def test_what_is_not_registered_is_told_in_one_line(searched, capfd, words, name):
    line = one_line_of_wrong_use(capfd, [word.format(searched) for word in words])
    assert f"{name}." in line
    assert line.endswith("If it is one of your own, --plugin FILE gives it.")
    assert not (searched / "new").exists()


def test_network_of_these_cells_is_trained_tested_counted_and_exported(
    searched, plugged_in, tmp_path, capsys
):
    genotype, run = searched / "search" / files.GENOTYPE, tmp_path / "run"
    words = ["--genotype", genotype, "--dataset", "stripes", "--preset", "tiny"]
    assert darts("train", plugged_in, *words, "--workdir", run) == 0
    assert darts("evaluate", plugged_in, "--workdir", run) == 0
    out = capsys.readouterr().out
    tested = [line.split()[2] for line in out.splitlines() if line.startswith("test accuracy")]
    assert len(tested) == 2
    assert tested[0] == tested[1]
    sizes = ["--channels", CHANNELS, "--cells", 3, "--image-size", SIDE, "--image-channels", 1]
    assert darts("inspect", plugged_in, "--genotype", genotype, *sizes, "--classes", 3) == 0
    counted = capsys.readouterr().out.split("\nMACs ")[1].split()[0]
    export = ["export", plugged_in, "--workdir", run, "--output", tmp_path / "out"]
    assert darts(*export, "--format", "tflite") == 0
    report = json.loads((tmp_path / "out" / "export_report.json").read_text())
    assert report["formats"]["tflite"]["difference"] < 1e-4
    assert Genotype.from_fields(report["genotype"]) == chosen(searched)
    assert f"{report['macs']:,}" == counted


@mostly_slow(
    1,
    "more",
    [
        ["--selection", "without_none"],
        ["--budget", "macs=1M"],
        ["--max-skips", "0"],
    ],
    ids=["own rule", "budget", "skips"],
)
def test_cells_of_the_run_are_derived_anew(searched, plugged_in, tmp_path, more):
    output = tmp_path / "genotype.json"
    command = ["derive", plugged_in, "--workdir", searched / "search", "--output", output]
    assert darts(*command, *more) == 0
    found = Genotype.from_json(output.read_text())
    assert len(found.normal) == 4
    if more[1] == "without_none":
        assert found == chosen(searched)
    if more[0] == "--max-skips":
        assert {name for name, _ in found.normal} == {"ghost_conv"}


def test_primitive_that_cannot_be_exported_is_told_with_the_operation(tmp_path, capfd):
    (tmp_path / "bad_ops.py").write_text(
        "import darts_tf, keras, tensorflow as tf\n"
        "class Beta(keras.layers.Layer):\n"
        "    def __init__(self, channels, stride, affine):\n"
        "        super().__init__()\n"
        "        self.stride = stride\n"
        "    def call(self, x):\n"
        "        y = tf.math.betainc(tf.abs(x) + 1, tf.abs(x) + 1, tf.sigmoid(x))\n"
        "        return y[:, ::self.stride, ::self.stride]\n"
        "darts_tf.register_primitive('beta', Beta, lambda *sizes: 0)\n"
    )
    with registrations_taken_back():
        words = ["inspect", "--plugin", tmp_path / "bad_ops.py", "--primitive", "beta"]
        line = one_line_of_wrong_use(capfd, words)
    assert "primitive beta at stride 1 on 8x8 states to be written in TFLite's built-in" in line
    assert line.endswith("Custom ops: Betainc")


def test_primitive_of_another_shape_is_told_with_its_line_before_the_search(tmp_path, capfd):
    (tmp_path / "bad_ops.py").write_text(
        "import darts_tf, keras\n"
        "def same(channels, stride, affine):\n"
        "    return keras.layers.Conv2D(channels, 1)\n"
        "darts_tf.register_primitive('same', same, lambda *sizes: 0)\n"
    )
    words = ["search", "--plugin", tmp_path / "bad_ops.py", "--dataset", "digits"]
    words += ["--workdir", tmp_path / "run"]
    with registrations_taken_back():
        line = one_line_of_wrong_use(capfd, words)
    assert "error: bad_ops.py, line 4: Expected the primitive same to give (2, 4, 3, 8)" in line
    assert not (tmp_path / "run").exists()


def test_workers_of_a_launch_load_the_same_scripts(searched, plugged_in, monkeypatch, tmp_path):
    commands = []

    def launch(command, workers, logs):
        commands.append(command)
        return Outcome()

    monkeypatch.setattr(darts_tf.cli.commands.launch, "launch", launch)
    job = ["search", plugged_in, "--dataset", "digits", "--workdir", str(tmp_path / "run")]
    job += ["--space", "ghosts"]
    assert darts("launch", "--workers", 2, plugged_in, "--", job[0], *job[2:]) == 0
    assert darts("launch", "--workers", 2, "--", *job) == 0
    assert commands == [[sys.executable, "-m", "darts_tf.cli", *job]] * 2


def test_devices_are_divided_before_what_is_registered_is_tried(monkeypatch, plugged_in, tmp_path):
    calls = []
    monkeypatch.setattr(distribution, "make_strategy", lambda *asked: calls.append(asked))
    monkeypatch.setattr(plugins, "check_plugins", lambda: calls.append("checked"))
    replace_commands(monkeypatch, lambda config: calls.append("ran") or 0)
    words = [
        "--dataset",
        "digits",
        "--workdir",
        tmp_path / "run",
        "--strategy",
        "mirrored",
        "--devices",
        2,
    ]
    assert darts("search", plugged_in, *words) == 0
    assert calls == [("mirrored", 2), "checked", "ran"]


def test_help_of_another_process_shows_names_without_tensorflow(tmp_path):
    (tmp_path / "light.py").write_text(
        "import atexit, sys, darts_tf\n"
        "darts_tf.register_space('mine', 2, ['skip_connect', 'sep_conv_3x3'])\n"
        "darts_tf.register_estimator('still', print)\n"
        "darts_tf.register_selection('weakest', print)\n"
        "atexit.register(lambda: print('tensorflow' in sys.modules))\n"
    )
    command = [sys.executable, "-m", "darts_tf.cli", "search", "--plugin", "light.py", "--help-all"]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    spaces = "darts, s1, s2, s3, s4, nas-bench-201, mine"
    for choices in (spaces, ", still", "strength, perturbation, weakest"):
        assert choices in " ".join(done.stdout.split())
    assert done.stdout.split()[-1] == "False"
