"""`darts-tf serve`: the models it finds, the files it writes, and the program it starts."""

from __future__ import annotations

import json
import os
import pathlib
import shlex
import subprocess
import sys

import pytest
from cli_helpers import one_line_of_wrong_use
from google.protobuf import (
    descriptor_pb2,
    descriptor_pool,
    message_factory,
    text_format,
    wrappers_pb2,  # noqa: F401  registers the types below
)
from servers import quiet_environment

from darts_tf.configs import ServeConfig
from darts_tf.errors import InputError
from darts_tf.export.serving import config as files
from darts_tf.export.serving import folders


@pytest.fixture
def export(tmp_path):
    """A folder with the file names of an export; no test here reads a SavedModel."""
    return make(tmp_path / "my export", "flowers", 1, 12)


def make(folder, name, *versions):
    for version in versions:
        (folder / "saved_model" / name / str(version)).mkdir(parents=True)
        (folder / "saved_model" / name / str(version) / "saved_model.pb").touch()
    return folder


# Folders


@pytest.mark.parametrize("place", [".", "saved_model", "saved_model/flowers"])
def test_model_is_found_from_each_of_its_folders(export, place):
    base = export / "saved_model" / "flowers"
    assert folders.models(export / place) == {"flowers": base}
    assert folders.versions(base) == {1: base / "1", 12: base / "12"}


def test_every_model_of_an_export_is_served(export):
    make(export, "trees", 3)
    assert list(folders.models(export)) == ["flowers", "trees"]


def test_only_whole_versions_with_numbers_count(export):
    base = export / "saved_model" / "flowers"
    (base / "13").mkdir()
    for other in (".14", "15x", "-16", "latest", "１７"):
        (base / other).mkdir()
        (base / other / "saved_model.pb").touch()
    (base / "18").write_text("no folder")
    assert sorted(folders.versions(base)) == [1, 12]


def test_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(InputError, match="which is not there"):
        folders.models(tmp_path / "none")
    (tmp_path / "saved_model").mkdir()
    with pytest.raises(InputError, match="which has no such file"):
        folders.models(tmp_path)
    (tmp_path / "saved_model" / "saved_model.pb").touch()
    with pytest.raises(InputError, match="without a version"):
        folders.models(tmp_path)
    with pytest.raises(InputError, match="letters, digits"):
        folders.models(make(tmp_path / "other", "a b", 1))


# Files


def batching_parameters():
    """Returns the used part of a message of TensorFlow Serving's session_bundle_config.proto."""
    file = descriptor_pb2.FileDescriptorProto(
        name="batching.proto", dependency=["google/protobuf/wrappers.proto"], syntax="proto3"
    )
    message = file.message_type.add(name="BatchingParameters")
    names = {"max_batch_size": 1, "batch_timeout_micros": 2, "max_enqueued_batches": 3}
    for name, number in {**names, "num_batch_threads": 4}.items():
        field = message.field.add(name=name, number=number, label=1, type=11)
        field.type_name = ".google.protobuf.Int64Value"
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("BatchingParameters"))()


def test_models_config_is_what_tensorflow_serving_reads(export):
    config = pytest.importorskip("tensorflow_serving.config.model_server_config_pb2")
    found = config.ModelServerConfig()
    odd = pathlib.Path('/a "quoted"\\ path/ü')
    text = files.models_config({**folders.models(export), "odd": odd})
    text_format.Parse(text, found)
    first, second = found.model_config_list.config
    assert (first.name, first.model_platform) == ("flowers", "tensorflow")
    assert first.base_path == str(export / "saved_model" / "flowers")
    assert first.model_version_policy.latest.num_versions == 1
    assert second.base_path == str(odd)


def test_batching_parameters_are_the_settings():
    config = ServeConfig(
        **{"model": "x", "max_batch_size": 8, "batch_timeout_ms": 2.5},
        **{"batch_threads": 3, "max_queued_batches": 5},
    )
    found = text_format.Parse(files.batching_config(config), batching_parameters())
    assert found.max_batch_size.value == 8
    assert found.batch_timeout_micros.value == 2500
    assert found.num_batch_threads.value == 3
    assert found.max_enqueued_batches.value == 5


def test_container_sees_every_folder_that_the_files_name(export, tmp_path):
    config = ServeConfig(model=export, output=tmp_path / "o", host="0.0.0.0", port=9000)
    words = files.container_command(config, tmp_path / "o", folders.models(export))
    assert words[:2] == ["docker", "run"]
    volumes = [words[i + 1] for i, word in enumerate(words) if word == "--volume"]
    mounted = {volume.split(":")[0] for volume in volumes}
    assert mounted == {str(tmp_path / "o"), str(export / "saved_model" / "flowers")}
    assert all(
        volume.split(":") == [p, p, "ro"] for volume in volumes for p in [volume.split(":")[0]]
    )
    published = [words[i + 1] for i, word in enumerate(words) if word == "--publish"]
    assert published == ["0.0.0.0:9000:8500", "0.0.0.0:9001:8501"]
    image = words.index(files.IMAGE)
    assert all(word.startswith("--") for word in words[image + 1 :])
    assert not any(word.startswith("--port") for word in words[image + 1 :])  # the image's


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"port": 65536}, "at most 65535"),
        ({"port": 8000, "rest_port": 8000}, "Expected port and rest_port to differ"),
        ({"max_batch_size": 0}, "Expected max_batch_size to be positive"),
        ({"server": "other"}, "Expected server to be one of auto, embedded, none"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, message):
    with pytest.raises(InputError, match=message):
        ServeConfig(model="x", **settings)


def test_rest_port_follows_the_port():
    assert ServeConfig(model="x").rest_port == 8501
    assert ServeConfig(model="x", port=9).rest_port == 10
    assert ServeConfig(model="x", port=0).rest_port == 0


# The program

FAKE = """#!{python}
import json, os, signal, sys, time
def end(number, frame):
    print("signal", int(number), flush=True)
    sys.exit(7)
signal.signal(signal.SIGTERM, end)
print(json.dumps([os.getpid(), sys.argv]), flush=True)
time.sleep(60)
"""


def command(export, *words, path=os.defpath):
    environment = {**quiet_environment(), "PATH": path}
    return {
        "args": [sys.executable, "-m", "darts_tf.cli", "serve", "--model", str(export), *words],
        **{"env": environment, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True},
    }


def with_fake(folder, name):
    (folder / "bin").mkdir()
    program = folder / "bin" / name
    program.write_text(FAKE.format(python=sys.executable))
    program.chmod(0o755)
    return f"{folder / 'bin'}{os.pathsep}{os.defpath}"


def test_program_on_the_path_takes_our_place(export, tmp_path):
    path = with_fake(tmp_path, files.BINARY)
    words = ["--port", "9100", "--poll-seconds", "5", "--timeout", "2"]
    with subprocess.Popen(**command(export, *words, path=path)) as process:
        try:
            said = [process.stdout.readline() for _ in range(3)]
            pid, argv = json.loads(said[2])
            process.terminate()
            last, errors = process.communicate(timeout=20)
        finally:
            process.kill()
    assert pid == process.pid  # so that the program receives our signals
    assert (process.returncode, last, errors) == (7, "signal 15\n", "")
    assert pathlib.Path(argv[0]).name == files.BINARY
    written = export / "serving"
    assert sorted(argv[1:]) == [
        f"--batching_parameters_file={written / 'batching.config'}",
        "--enable_batching=true",
        "--file_system_poll_wait_seconds=5",
        f"--model_config_file={written / 'models.config'}",
        "--port=9100",
        "--rest_api_port=9101",
        "--rest_api_timeout_in_ms=2000",
    ]
    assert shlex.split(said[1])[1:] == argv[1:]


@pytest.mark.parametrize("installed", [files.BINARY, "docker"])
def test_written_script_starts_what_is_there(export, tmp_path, installed):
    output = tmp_path / "out put"
    words = ["--server", "none", "--output", str(output)]
    done = subprocess.run(**command(export, *words), check=True)
    assert done.stderr == ""
    binary, container = done.stdout.splitlines()[1:]
    path = with_fake(tmp_path, installed)
    run = {**command(export, path=path), "args": [output / "run.sh"]}
    with subprocess.Popen(**run) as process:
        try:
            _, argv = json.loads(process.stdout.readline())
        finally:
            process.kill()
    expected = shlex.split(binary if installed == files.BINARY else container)
    assert argv[1:] == expected[1:]


def test_nothing_is_written_where_nothing_can_be(export, capfd, tmp_path):
    (tmp_path / "file").touch()
    line = one_line_of_wrong_use(
        capfd, ["serve", "--model", export, "--output", tmp_path / "file" / "x"]
    )
    assert "Expected output to be a folder to write to" in line
    line = one_line_of_wrong_use(capfd, ["serve", "--model", tmp_path / "none"])
    assert "which is not there" in line
    assert not (export / "serving").exists()


def test_model_that_cannot_be_loaded_is_wrong_use(export, capfd):
    line = one_line_of_wrong_use(capfd, ["serve", "--model", export, "--port", "0"])
    assert "Expected a model that can be loaded" in line
    assert "version 12" in line
