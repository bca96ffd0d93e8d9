"""A network learns real CIFAR-10 images, in minutes, if the reference data exist."""

from __future__ import annotations

import tarfile

import pytest

from darts_tf.cli.main import main
from darts_tf.runs.metrics import read_metrics

LEARNS = (
    *("--preset", "cifar10", "--genotype", "DARTS_V2", "--channels", "8", "--cells", "5"),
    *("--epochs", "6", "--limit", "10000", "--cutout", "8", "--drop-path", "0.1"),
    *("--average-decay", "0.99"),
)


@pytest.fixture(scope="module")
def cifar10(shared, tmp_path_factory):
    """CIFAR-10 as an image folder."""
    folder = tmp_path_factory.mktemp("cifar10")
    with tarfile.open(shared / "data" / "cifar10-jpeg.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    (parent,) = {path.parent for path in folder.rglob("train")}
    return parent


@pytest.mark.slow
def test_small_network_learns_a_part_of_cifar10(cifar10, tmp_path, capsys):
    workdir = tmp_path / "run"
    assert main(["train", *LEARNS, "--dataset", str(cifar10), "--workdir", str(workdir)]) == 0
    with capsys.disabled():
        print(f"\n{capsys.readouterr().out}")
    lines = read_metrics(workdir)
    assert lines[-1]["loss"] < lines[0]["loss"]
    assert lines[-1]["test_accuracy"] > 0.45  # chance is 0.1
    assert main(["evaluate", "--workdir", str(workdir)]) == 0
    assert f"{lines[-1]['test_accuracy']:.2%}" in capsys.readouterr().out
