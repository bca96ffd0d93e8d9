"""`darts-tf doctor`: every section is there, whatever fails, and no secret is."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
import types

import pytest

from darts_tf.cli.main import main
from darts_tf.configs import DoctorConfig
from darts_tf.runtime import diagnosis, processor

ROOT = pathlib.Path(__file__).resolve().parents[2]
CLUSTER = {"worker": ["first:1", "second:1"]}


@pytest.fixture
def harmless(monkeypatch):
    """Without the two checks that change the process for good; one test runs them in another."""
    monkeypatch.setattr(diagnosis, "xla", lambda: "not checked")
    monkeypatch.setattr(diagnosis, "determinism", lambda: "not checked")
    monkeypatch.delenv("TF_CONFIG", raising=False)


def doctor(capsys) -> dict[str, dict[str, str]]:
    """Returns the JSON output of `darts-tf doctor`."""
    assert main(["doctor", "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def broken():
    raise RuntimeError("first reason é\nand more")


# The report


def test_whole_report_of_a_new_process():
    environment = {
        k: v for k, v in os.environ.items() if not k.startswith(("TF_", "XLA_", "KERAS_"))
    }
    done = subprocess.run(
        [sys.executable, "-m", "darts_tf.cli", "doctor", "--json"],
        cwd=ROOT,
        env={**environment, "TF_DETERMINISTIC_OPS": "0"},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert done.stderr == ""
    report = json.loads(done.stdout)
    assert report["checks"]["XLA"].startswith("compiles, right result, ")
    assert report["checks"]["determinism"] == "a gradient has equal bits twice"
    assert report["environment"] == {"TF_DETERMINISTIC_OPS": "0"}  # and not what we set ourselves
    lines = [text for section in report.values() for text in section.values()]
    assert not [text for text in lines if text.startswith("failed")]


@pytest.mark.usefixtures("harmless")
def test_text_and_json_have_every_section_and_line(capsys):
    report = doctor(capsys)
    assert list(report) == list(diagnosis.sections())
    assert report["versions"]["Python"] == ".".join(map(str, sys.version_info[:3]))
    assert report["versions"]["darts-tf"] != ""
    assert "can be written to" in report["disk"]["working folder"]
    assert main(["doctor"]) == 0
    shown = capsys.readouterr().out
    for title, lines in report.items():
        assert f"{title}\n  " in shown
        assert all(f"\n  {line} " in shown for line in lines)


@pytest.mark.usefixtures("harmless")
def test_text_is_plain_and_aligned(capsys):
    assert main(["doctor"]) == 0
    shown = capsys.readouterr().out
    assert shown.isascii()
    versions = shown.split("\n\n")[0].splitlines()[1:]
    columns = {len(line) - len(line[2:].split("  ", 1)[1].lstrip()) for line in versions}
    assert len(columns) == 1


def test_config_has_one_flag_that_is_off():
    assert DoctorConfig().to_dict() == {"json": False}


# What fails


@pytest.mark.usefixtures("harmless")
@pytest.mark.parametrize(
    ("probe", "section", "line"),
    [
        ("tensorflow_version", "versions", "TensorFlow"),
        ("processor", "machine", "processor"),
        ("gpus", "devices", "GPUs"),
        ("free_memory", "memory", "free"),
        ("tf_config", "strategy", "TF_CONFIG"),
        ("xla", "checks", "XLA"),
    ],
)
def test_probe_that_fails_says_so_in_its_line_alone(monkeypatch, capsys, probe, section, line):
    before = doctor(capsys)
    monkeypatch.setattr(diagnosis, probe, broken)
    report = doctor(capsys)
    assert report[section].pop(line) == "failed: RuntimeError: first reason \\xe9"
    before[section].pop(line)
    assert {name: set(lines) for name, lines in report.items()} == {
        name: set(lines) for name, lines in before.items()
    }
    assert report["versions"].get("Python") == before["versions"]["Python"]


def test_doctor_goes_on_where_every_probe_fails(monkeypatch, capsys):
    sections = {
        title: dict.fromkeys(lines, broken) for title, lines in diagnosis.sections().items()
    }
    monkeypatch.setattr(diagnosis, "sections", lambda environment: sections)
    report = doctor(capsys)
    texts = {text for lines in report.values() for text in lines.values()}
    assert texts == {"failed: RuntimeError: first reason \\xe9"}


@pytest.mark.usefixtures("harmless")
def test_doctor_works_where_tensorflow_does_not_start(monkeypatch, capsys):
    monkeypatch.setattr("darts_tf.cli.startup.start_tensorflow", broken)
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    report = doctor(capsys)
    assert report["versions"]["TensorFlow"].startswith("failed: ModuleNotFoundError: ")
    assert report["devices"]["CPUs"].startswith("failed: ModuleNotFoundError: ")
    assert "free of" in report["disk"]["working folder"]


@pytest.mark.usefixtures("harmless")
def test_doctor_works_without_a_folder_for_temporary_files(monkeypatch, capsys):
    def none(*_, **__):
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr("tempfile.gettempdir", none)
    assert "No usable" in doctor(capsys)["disk"]["temporary folder"]


def test_folder_that_cannot_be_written_to_is_named(monkeypatch):
    def read_only(*_, **__):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(diagnosis.tempfile, "TemporaryFile", read_only)
    assert diagnosis.room(os.curdir).endswith("cannot be written to: Read-only file system")


def test_package_that_is_not_there_is_not_a_failure():
    assert diagnosis.version("no-such-package-of-ours") == "not installed"


# The environment


@pytest.mark.usefixtures("harmless")
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_nothing_of_the_environment_but_tensorflows_settings_is_shown(monkeypatch, capsys, options):
    secrets = ("AWS_SECRET_ACCESS_KEY", "DARTS_PASSWORD", "TF_API_KEY", "KERAS_HUB_TOKEN")
    terraforms = ("TF_VAR_database", "TF_TOKEN_app_example_com", "TF_CLI_ARGS")
    others = ("XLA_FLAGS_OLD", "MY_XLA_FLAGS", "PYTHONSTARTUP", "OMP_NUM_THREADS_2")
    for name in (*secrets, *terraforms, *others):
        monkeypatch.setenv(name, "hush")
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_enable_fast_math=false")
    monkeypatch.setenv("KERAS_HOME", "a\nb\udcff")
    monkeypatch.setenv("TF_LONG", "x" * 10_000)
    assert main(["doctor", *options]) == 0
    shown = capsys.readouterr().out
    assert "hush" not in shown
    assert "--xla_cpu_enable_fast_math=false" in shown
    assert max(map(len, shown.splitlines())) < 500


@pytest.mark.usefixtures("harmless")
@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("", "not set, one worker"),
        (json.dumps({"cluster": CLUSTER, "task": {"type": "worker", "index": 1}}), "worker 1 of 2"),
        ("{", "broken: Expected JSON. Received: "),
        ("worker:0", "broken: Expected JSON. Received: "),
        ("[" * 100_000, "broken: Expected JSON of at most"),
        ("[]", "broken: Expected TF_CONFIG"),
        ('{"cluster": 3}', "broken: Expected TF_CONFIG"),
        (
            json.dumps({"cluster": CLUSTER, "task": {"type": "worker", "index": 7}}),
            "broken: worker 7 of 2",
        ),
    ],
)
def test_tf_config_is_read_as_a_run_would(monkeypatch, capsys, value, says):
    monkeypatch.setenv("TF_CONFIG", value)
    report = doctor(capsys)
    assert report["strategy"]["TF_CONFIG"].startswith(says)
    assert "TF_CONFIG" not in report["environment"]


# Machines that we do not have


def test_gpus_are_named_with_memory_and_driver(monkeypatch):
    program = types.SimpleNamespace(stdout="GPU X, 8192 MiB, 570.1\n" * 2, stderr="", returncode=0)
    monkeypatch.setattr(diagnosis.shutil, "which", lambda name: name)
    monkeypatch.setattr(diagnosis.subprocess, "run", lambda *_, **__: program)
    assert diagnosis.nvidia_driver() == "GPU X, 8192 MiB, 570.1; GPU X, 8192 MiB, 570.1"
    program.stdout, program.returncode = "no driver\n", 9
    assert diagnosis.nvidia_driver() == "failed: no driver"


def test_gpu_is_described_as_far_as_tensorflow_knows_it(monkeypatch):
    import tensorflow as tf

    details = {"first": {"device_name": "GPU X", "compute_capability": (9, 0)}, "second": {}}
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: list(details))
    monkeypatch.setattr(tf.config.experimental, "get_device_details", details.get)
    assert diagnosis.gpus() == ("GPU X, compute capability 9.0; GPU, compute capability unknown")


def test_other_systems_than_linux_and_other_builds_are_described(monkeypatch, tmp_path):
    import tensorflow as tf

    monkeypatch.setattr(processor, "CPUINFO", tmp_path / "none")
    assert diagnosis.avx512() == "unknown"
    assert diagnosis.processor() != ""
    (tmp_path / "none").write_text("model name\t: Chip: 3\nflags\t\t: sse avx512f\n")
    assert (diagnosis.processor(), diagnosis.avx512()) == ("Chip: 3", "on")
    monkeypatch.setattr(tf.sysconfig, "get_build_info", dict)
    assert diagnosis.built_for() == "CPUs"


@pytest.mark.parametrize(
    ("text", "says"), [(None, "none found"), ("max\n", "no limit"), ("8000000000\n", "8.0 GB")]
)
def test_memory_limit_is_that_of_the_control_group(monkeypatch, tmp_path, text, says):
    monkeypatch.setattr("darts_tf.runtime.memory.CGROUP", tmp_path)
    if text is not None:
        (tmp_path / "memory.max").write_text(text)
    assert diagnosis.memory_limit() == says


def test_wrong_result_of_xla_is_told(monkeypatch):
    import tensorflow as tf

    monkeypatch.setattr(tf, "function", lambda **_: lambda function: lambda matrix: 511.0)
    assert diagnosis.xla() == "wrong: 511.0 in place of 512.0"
