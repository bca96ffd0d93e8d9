"""`darts-tf predict --url`, and `darts-tf serve` as a process: addresses, banner, signals."""

from __future__ import annotations

import signal
import socket
import sys

import pytest
from cli_helpers import one_line_of_wrong_use
from servers import drawn, png, ranked, serving, write_version

from darts_tf.cli.main import main

IMAGES = drawn(5)
FILES = [png(image) for image in IMAGES]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    base = tmp_path_factory.mktemp("export") / "saved_model" / "model"
    base.mkdir(parents=True)
    write_version(base, 3)
    return base.parent.parent


@pytest.fixture(scope="module")
def server(folder):
    with serving(folder) as server:
        yield server


# The client


@pytest.fixture
def files(tmp_path):
    paths = [tmp_path / f"{i}.png" for i in range(len(FILES))]
    for path, content in zip(paths, FILES, strict=True):
        path.write_bytes(content)
    return paths


@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_predict_asks_a_server(server, files, capsys, protocol):
    url = f"grpc://{server.grpc}" if protocol == "grpc" else f"{server.rest}/"
    assert main(["predict", "--url", url, "--top", "2", *map(str, files)]) == 0
    labels, shares = ranked(IMAGES)
    expected = [
        f"{path}: {row[0]} {share[0]:.2%}  {row[1]} {share[1]:.2%}"
        for path, row, share in zip(files, labels, shares, strict=True)
    ]
    assert capsys.readouterr().out.splitlines() == expected


@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_predict_says_what_the_server_does_not_like(server, files, capfd, protocol, tmp_path):
    url = f"grpc://{server.grpc}" if protocol == "grpc" else server.rest
    line = one_line_of_wrong_use(capfd, ["predict", "--url", url, "--name", "other", *files])
    assert "Expected name of a model at" in line
    (tmp_path / "text.png").write_text("text")
    line = one_line_of_wrong_use(capfd, ["predict", "--url", url, *files, tmp_path / "text.png"])
    assert "text.png" in line
    assert "Unknown image file format" in line


@pytest.mark.parametrize("scheme", ["grpc", "http"])
def test_predict_says_when_nobody_answers(server, files, capsys, scheme):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"{scheme}://127.0.0.1:{unused.getsockname()[1]}"
        assert main(["predict", "--url", url, str(files[0])]) == 1
    assert "no answer from" in capsys.readouterr().err
    other = server.rest if scheme == "grpc" else f"http://{server.grpc}"
    assert main(["predict", "--url", other.replace("http", scheme), str(files[0])]) == 1
    assert "no answer from" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ["--url", "ftp://x"],
        ["--url", "localhost:8500"],
        ["--url", "http://x:port"],
        ["--url", "http://u:p@x"],
        ["--url", "http://x", "--name", "../model"],
        ["--url", "http://x", "--model", "y"],
        [],
    ],
)
def test_predict_needs_an_address(files, capfd, words):
    one_line_of_wrong_use(capfd, ["predict", *words, files[0]])


# The process


@pytest.mark.parametrize("flag", ["--port", "--rest-port"])
def test_address_of_another_is_wrong_use(server, folder, capfd, flag):
    port = server.grpc.split(":")[1]
    words = ["--port", "0"] if flag == "--rest-port" else []
    line = one_line_of_wrong_use(capfd, ["serve", "--model", folder, *words, flag, port])
    assert f"127.0.0.1:{port}" in line


def test_host_that_is_not_ours_is_wrong_use(folder, capfd):
    one_line_of_wrong_use(capfd, ["serve", "--model", folder, "--host", "192.0.2.1", "--port", "0"])


@pytest.mark.parametrize(
    ("words", "module"),
    [
        (["serve", "--host", "192.0.2.1", "--model"], "aiohttp"),  # not free for a server either
        (["predict", "--url", "grpc://127.0.0.1", "--name", "model"], "tensorflow_serving.apis"),
    ],
)
def test_missing_package_is_named(folder, files, capfd, monkeypatch, words, module):
    for name in [
        name for name in sys.modules if name.startswith(("darts_tf.export.serving.", module))
    ]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr("darts_tf.export.serving.server", raising=False)
    monkeypatch.setitem(sys.modules, module, None)
    last = folder if words[0] == "serve" else files[0]
    line = one_line_of_wrong_use(capfd, [*words, last])
    assert "darts-tf[serving]" in line
    assert module in line


def test_server_says_what_it_is_and_ends_on_ctrl_c(server):
    """Comes last, since it stops the module's server."""
    assert any("for development" in line for line in server.lines)
    assert server.grpc.startswith("127.0.0.1:")
    assert server.stop(signal.SIGINT) == (130, "darts-tf: stopped\n")
