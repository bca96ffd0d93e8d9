"""Published cells by name, with the results reported in their papers."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import re
from collections.abc import Mapping

from darts_tf.errors import InputError, listed, nearest, shown
from darts_tf.runtime.inputs import not_there, similar
from darts_tf.spaces.cell import EDGE_PRIMITIVES
from darts_tf.spaces.genotype import FILE, AnyGenotype, Genotype, RecurrentGenotype
from darts_tf.spaces.notation import edge_digits, from_edge_notation, is_edge_notation, parse


@dataclasses.dataclass(frozen=True, kw_only=True)
class Found:
    """Origin of published cells.

    Attributes:
        source: the paper.
        method: search method.
        gpu_days: cost of the search in GPU days; None if unknown.
        note: remark for readers, e.g. on how the numbers were obtained.
    """

    source: str
    method: str
    gpu_days: float | None = None
    note: str = ""


@dataclasses.dataclass(frozen=True)
class Published(Found):
    """Published results of convolutional cells; None if no comparable one is published.

    Attributes:
        genotype: the cells.
        cifar10_error: test error in percent, trained with cutout unless `note` says otherwise.
        cifar10_deviation: standard deviation of `cifar10_error` over runs, in percent.
        cifar10_params: millions of parameters of the network on CIFAR-10.
        imagenet_error: top-1 error in percent in the mobile setting.
        imagenet_params: millions of parameters of the network on ImageNet.
    """

    genotype: Genotype
    cifar10_error: float | None = None
    cifar10_deviation: float | None = None
    cifar10_params: float | None = None
    imagenet_error: float | None = None
    imagenet_params: float | None = None


@dataclasses.dataclass(frozen=True)
class PublishedRecurrent(Found):
    """Published results of a recurrent cell.

    Attributes:
        genotype: the cell.
        ptb_perplexity: perplexity on the test split of Penn Treebank.
        ptb_params: millions of parameters of the language model.
    """

    genotype: RecurrentGenotype
    ptb_perplexity: float
    ptb_params: float


def _cell(text: str):
    """Parses one cell in the notation of `str(genotype)`."""
    nodes, concat = text.split(" -> ")
    words = nodes.replace(" |", ",").split(", ")
    pairs = ((word.split()[0], int(word.split()[1])) for word in words)
    return tuple(pairs), tuple(map(int, concat.split()))


def _cells(normal: str, reduce: str) -> Genotype:
    return Genotype(*_cell(normal), *_cell(reduce))


def _recurrent(text: str) -> RecurrentGenotype:
    nodes, concat = text.split(" -> ")
    pairs = (word.split() for word in nodes.split(" | "))
    pairs = tuple((activation, int(source)) for activation, source in pairs)
    return RecurrentGenotype(pairs, tuple(map(int, concat.split())))


_PNASNET = (
    "sep_conv_5x5 0, max_pool_3x3 0 | sep_conv_7x7 1, max_pool_3x3 1 | "
    "sep_conv_5x5 1, sep_conv_3x3 1 | sep_conv_3x3 4, max_pool_3x3 1 | "
    "sep_conv_3x3 0, skip_connect 1 -> "
)

ZOO = {
    "DARTS_V1": Published(
        _cells(
            "sep_conv_3x3 1, sep_conv_3x3 0 | skip_connect 0, sep_conv_3x3 1 | "
            "skip_connect 0, sep_conv_3x3 1 | sep_conv_3x3 0, skip_connect 2 -> 2 3 4 5",
            "max_pool_3x3 0, max_pool_3x3 1 | skip_connect 2, max_pool_3x3 0 | "
            "max_pool_3x3 0, skip_connect 2 | skip_connect 2, avg_pool_3x3 0 -> 2 3 4 5",
        ),
        **{"source": "Liu et al. 2019", "method": "gradient, first order", "gpu_days": 1.5},
        **{"cifar10_error": 3.0, "cifar10_deviation": 0.14, "cifar10_params": 3.3},
    ),
    "DARTS_V2": Published(
        _cells(
            "sep_conv_3x3 0, sep_conv_3x3 1 | sep_conv_3x3 0, sep_conv_3x3 1 | "
            "sep_conv_3x3 1, skip_connect 0 | skip_connect 0, dil_conv_3x3 2 -> 2 3 4 5",
            "max_pool_3x3 0, max_pool_3x3 1 | skip_connect 2, max_pool_3x3 1 | "
            "max_pool_3x3 0, skip_connect 2 | skip_connect 2, max_pool_3x3 1 -> 2 3 4 5",
        ),
        **{"source": "Liu et al. 2019", "method": "gradient, second order", "gpu_days": 4.0},
        **{"cifar10_error": 2.76, "cifar10_deviation": 0.09, "cifar10_params": 3.3},
        **{"imagenet_error": 26.7, "imagenet_params": 4.7},
    ),
    "NASNet": Published(
        _cells(
            "sep_conv_5x5 1, sep_conv_3x3 0 | sep_conv_5x5 0, sep_conv_3x3 0 | "
            "avg_pool_3x3 1, skip_connect 0 | avg_pool_3x3 0, avg_pool_3x3 0 | "
            "sep_conv_3x3 1, skip_connect 1 -> 2 3 4 5 6",
            "sep_conv_5x5 1, sep_conv_7x7 0 | max_pool_3x3 1, sep_conv_7x7 0 | "
            "avg_pool_3x3 1, sep_conv_5x5 0 | skip_connect 3, avg_pool_3x3 2 | "
            "sep_conv_3x3 2, max_pool_3x3 1 -> 4 5 6",
        ),
        **{"source": "Zoph et al. 2018, NASNet-A", "method": "reinforcement learning"},
        **{"gpu_days": 2000.0, "cifar10_error": 2.65, "cifar10_params": 3.3},
        **{"imagenet_error": 26.0, "imagenet_params": 5.3},
    ),
    "AmoebaNet": Published(
        _cells(
            "avg_pool_3x3 0, max_pool_3x3 1 | sep_conv_3x3 0, sep_conv_5x5 2 | "
            "sep_conv_3x3 0, avg_pool_3x3 3 | sep_conv_3x3 1, skip_connect 1 | "
            "skip_connect 0, avg_pool_3x3 1 -> 4 5 6",
            "avg_pool_3x3 0, sep_conv_3x3 1 | max_pool_3x3 0, sep_conv_7x7 2 | "
            "sep_conv_7x7 0, avg_pool_3x3 1 | max_pool_3x3 0, max_pool_3x3 1 | "
            "conv_7x1_1x7 0, sep_conv_3x3 5 -> 3 4 6",
        ),
        **{"source": "Real et al. 2019, AmoebaNet-A", "method": "evolution", "gpu_days": 3150.0},
        **{"cifar10_error": 3.34, "cifar10_deviation": 0.06, "cifar10_params": 3.2},
        **{"imagenet_error": 25.5, "imagenet_params": 5.1, "note": "CIFAR-10 error without cutout"},
    ),
    "AmoebaNet_C": Published(
        _cells(
            "avg_pool_3x3 1, sep_conv_3x3 1 | skip_connect 1, sep_conv_3x3 1 | "
            "avg_pool_3x3 2, sep_conv_3x3 0 | skip_connect 1, sep_conv_3x3 0 | "
            "avg_pool_3x3 3, sep_conv_3x3 1 -> 4 5 6",
            "max_pool_3x3 1, max_pool_3x3 1 | sep_conv_7x7 2, sep_conv_3x3 1 | "
            "sep_conv_7x7 1, max_pool_3x3 0 | sep_conv_5x5 4, sep_conv_5x5 4 | "
            "max_pool_3x3 0, sep_conv_3x3 0 -> 3 5 6",
        ),
        **{"source": "Real et al. 2019, AmoebaNet-C", "method": "evolution", "gpu_days": 3150.0},
        **{"imagenet_error": 24.3, "imagenet_params": 6.4},
        note="the output is made of the nodes that no other reads, as in the paper; the authors' "
        "code concatenates two more states of each cell, one of them an input",
    ),
    "PNASNet": Published(
        _cells(_PNASNET + "2 3 4 5 6", _PNASNET + "2 3 4 5 6"),
        **{"source": "Liu et al. 2018, PNASNet-5", "method": "sequential, model-based"},
        **{"gpu_days": 225.0, "cifar10_error": 3.41, "cifar10_deviation": 0.09},
        **{"cifar10_params": 3.2, "imagenet_error": 25.8, "imagenet_params": 5.1},
        note="one cell for both kinds; CIFAR-10 error without cutout",
    ),
    "ENAS": Published(
        _cells(
            "avg_pool_3x3 0, sep_conv_3x3 0 | skip_connect 0, sep_conv_5x5 0 | "
            "skip_connect 0, sep_conv_5x5 1 | sep_conv_3x3 1, sep_conv_5x5 0 | "
            "avg_pool_3x3 0, sep_conv_5x5 1 -> 2 3 4 5 6",
            "sep_conv_3x3 1, sep_conv_3x3 1 | max_pool_3x3 0, avg_pool_3x3 0 | "
            "sep_conv_5x5 1, sep_conv_5x5 3 | sep_conv_3x3 1, skip_connect 0 | "
            "max_pool_3x3 0, sep_conv_5x5 1 -> 2 4 5 6",
        ),
        **{"source": "Pham et al. 2018, micro search", "method": "reinforcement learning"},
        **{"gpu_days": 0.5, "cifar10_error": 2.89, "cifar10_params": 4.6},
    ),
    "PCDARTS": Published(
        _cells(
            "sep_conv_3x3 1, skip_connect 0 | sep_conv_3x3 0, dil_conv_3x3 1 | "
            "sep_conv_5x5 0, sep_conv_3x3 1 | avg_pool_3x3 0, dil_conv_3x3 1 -> 2 3 4 5",
            "sep_conv_5x5 1, max_pool_3x3 0 | sep_conv_5x5 1, sep_conv_5x5 2 | "
            "sep_conv_3x3 0, sep_conv_3x3 3 | sep_conv_3x3 1, sep_conv_3x3 2 -> 2 3 4 5",
        ),
        **{"source": "Xu et al. 2020, searched on CIFAR-10", "method": "gradient, first order"},
        **{"gpu_days": 0.1, "cifar10_error": 2.57, "cifar10_deviation": 0.07},
        **{"cifar10_params": 3.6, "imagenet_error": 25.1, "imagenet_params": 5.3},
    ),
    "PDARTS": Published(
        _cells(
            "skip_connect 0, dil_conv_3x3 1 | skip_connect 0, sep_conv_3x3 1 | "
            "sep_conv_3x3 1, sep_conv_3x3 3 | sep_conv_3x3 0, dil_conv_5x5 4 -> 2 3 4 5",
            "avg_pool_3x3 0, sep_conv_5x5 1 | sep_conv_3x3 0, dil_conv_5x5 2 | "
            "max_pool_3x3 0, dil_conv_3x3 1 | dil_conv_3x3 1, dil_conv_5x5 3 -> 2 3 4 5",
        ),
        **{"source": "Chen et al. 2019, searched on CIFAR-10", "method": "gradient, first order"},
        **{"gpu_days": 0.3, "cifar10_error": 2.5, "cifar10_params": 3.4},
        **{"imagenet_error": 24.4, "imagenet_params": 4.9},
    ),
    "PCDARTS_IMAGENET": Published(
        _cells(
            "skip_connect 1, sep_conv_3x3 0 | sep_conv_3x3 0, skip_connect 1 | "
            "sep_conv_3x3 1, sep_conv_3x3 3 | sep_conv_3x3 1, dil_conv_5x5 4 -> 2 3 4 5",
            "sep_conv_3x3 0, skip_connect 1 | dil_conv_5x5 2, max_pool_3x3 1 | "
            "sep_conv_3x3 2, sep_conv_3x3 1 | sep_conv_5x5 0, sep_conv_3x3 3 -> 2 3 4 5",
        ),
        **{"source": "Xu et al. 2020, searched on ImageNet", "method": "gradient, first order"},
        **{"gpu_days": 3.8, "imagenet_error": 24.2, "imagenet_params": 5.3},
    ),
    "DRNAS": Published(
        _cells(
            "sep_conv_3x3 0, sep_conv_5x5 1 | sep_conv_3x3 1, sep_conv_3x3 2 | "
            "skip_connect 0, sep_conv_3x3 1 | sep_conv_3x3 2, dil_conv_5x5 3 -> 2 3 4 5",
            "max_pool_3x3 0, sep_conv_5x5 1 | dil_conv_5x5 2, sep_conv_5x5 1 | "
            "sep_conv_5x5 1, dil_conv_5x5 3 | skip_connect 4, sep_conv_5x5 1 -> 2 3 4 5",
        ),
        **{"source": "Chen et al. 2021, searched on CIFAR-10", "method": "gradient, Dirichlet"},
        **{"cifar10_error": 2.46, "cifar10_deviation": 0.03},
        **{"cifar10_params": 4.1},
    ),
    "DRNAS_IMAGENET": Published(
        _cells(
            "sep_conv_3x3 1, sep_conv_3x3 0 | sep_conv_3x3 0, sep_conv_3x3 1 | "
            "sep_conv_3x3 0, dil_conv_3x3 3 | skip_connect 0, sep_conv_3x3 1 -> 2 3 4 5",
            "max_pool_3x3 0, sep_conv_3x3 1 | sep_conv_3x3 0, skip_connect 2 | "
            "sep_conv_3x3 0, sep_conv_3x3 2 | sep_conv_3x3 3, sep_conv_3x3 1 -> 2 3 4 5",
        ),
        **{"source": "Chen et al. 2021, searched on ImageNet", "method": "gradient, Dirichlet"},
        **{"imagenet_error": 23.7, "imagenet_params": 5.7},
    ),
    "SHAPLEY": Published(
        _cells(
            "sep_conv_3x3 0, sep_conv_3x3 1 | sep_conv_3x3 1, dil_conv_3x3 0 | "
            "dil_conv_3x3 2, skip_connect 3 | sep_conv_3x3 1, dil_conv_5x5 3 -> 2 3 4 5",
            "sep_conv_3x3 1, max_pool_3x3 0 | dil_conv_5x5 2, sep_conv_3x3 0 | "
            "sep_conv_3x3 2, max_pool_3x3 0 | dil_conv_3x3 3, skip_connect 2 -> 2 3 4 5",
        ),
        **{"source": "Xiao et al. 2022, searched on CIFAR-10"},
        **{"method": "Shapley values of operations", "cifar10_error": 2.43},
        note="error of the best of several runs",
    ),
    "SHAPLEY_IMAGENET": Published(
        _cells(
            "sep_conv_3x3 1, sep_conv_5x5 0 | dil_conv_5x5 2, skip_connect 1 | "
            "sep_conv_3x3 2, sep_conv_5x5 0 | sep_conv_3x3 1, skip_connect 2 -> 2 3 4 5",
            "sep_conv_3x3 1, dil_conv_3x3 0 | avg_pool_3x3 2, sep_conv_5x5 1 | "
            "sep_conv_3x3 3, skip_connect 1 | sep_conv_3x3 2, sep_conv_3x3 4 -> 2 3 4 5",
        ),
        **{"source": "Xiao et al. 2022, searched on ImageNet"},
        **{"method": "Shapley values of operations"},
        note="its published errors were not at hand",
    ),
    "OLES": Published(
        _cells(
            "sep_conv_3x3 1, sep_conv_3x3 0 | sep_conv_5x5 0, sep_conv_3x3 1 | "
            "sep_conv_3x3 0, sep_conv_5x5 1 | sep_conv_3x3 0, dil_conv_3x3 1 -> 2 3 4 5",
            "max_pool_3x3 0, sep_conv_3x3 1 | avg_pool_3x3 0, skip_connect 2 | "
            "skip_connect 2, avg_pool_3x3 0 | skip_connect 2, skip_connect 3 -> 2 3 4 5",
        ),
        **{"source": "Jiang et al. 2023, searched on CIFAR-10", "method": "gradient, first order"},
        **{"cifar10_error": 2.3},
        note="error of the best of several runs",
    ),
    "OLES_CIFAR100": Published(
        _cells(
            "skip_connect 0, sep_conv_3x3 1 | skip_connect 0, sep_conv_5x5 1 | "
            "skip_connect 0, skip_connect 1 | skip_connect 0, sep_conv_3x3 1 -> 2 3 4 5",
            "skip_connect 0, sep_conv_5x5 1 | max_pool_3x3 0, skip_connect 2 | "
            "max_pool_3x3 0, skip_connect 2 | skip_connect 2, max_pool_3x3 0 -> 2 3 4 5",
        ),
        **{"source": "Jiang et al. 2023, searched on CIFAR-100", "method": "gradient, first order"},
        note="no error on CIFAR-10 or ImageNet is published",
    ),
}
"""Published convolutional cells by name."""

GENOTYPES = {name: published.genotype for name, published in ZOO.items()}
"""Genotypes of `ZOO` by name."""

RECURRENT_ZOO = {
    "DARTS_V1": PublishedRecurrent(
        _recurrent(
            "relu 0 | relu 1 | tanh 2 | relu 3 | relu 4 | identity 1 | relu 5 | relu 1"
            " -> 1 2 3 4 5 6 7 8"
        ),
        **{"source": "Liu et al. 2019", "method": "gradient, first order", "gpu_days": 0.5},
        **{"ptb_perplexity": 57.6, "ptb_params": 23.0},
    ),
    "DARTS_V2": PublishedRecurrent(
        _recurrent(
            "sigmoid 0 | relu 1 | relu 1 | identity 1 | tanh 2 | sigmoid 5 | tanh 3 | relu 5"
            " -> 1 2 3 4 5 6 7 8"
        ),
        **{"source": "Liu et al. 2019", "method": "gradient, second order", "gpu_days": 1.0},
        **{"ptb_perplexity": 55.7, "ptb_params": 23.0},
    ),
    "ENAS": PublishedRecurrent(
        _recurrent(
            "tanh 0 | tanh 1 | relu 1 | tanh 3 | tanh 3 | relu 3 | relu 4 | relu 7 | relu 8"
            " | relu 8 | relu 8 -> 2 5 6 9 10 11"
        ),
        **{"source": "Pham et al. 2018", "method": "reinforcement learning", "gpu_days": 0.5},
        **{"ptb_perplexity": 58.6, "ptb_params": 24.0},
        note="as trained by Liu et al. 2019",
    ),
}
"""Published recurrent cells by name."""

RECURRENT_GENOTYPES = {name: published.genotype for name, published in RECURRENT_ZOO.items()}
"""Genotypes of `RECURRENT_ZOO` by name."""

NOT_EXPRESSIBLE = {
    "AmoebaNet_B": "its cells have 1x1 and full 3x3 convolutions and 2x2 pools",
    "NASNet_B": "its cells read four states and give four, and concatenate none",
    "NASNet_C": "its cells give two states instead of concatenating their nodes",
}
"""Published cells that genotypes cannot represent, with the reason."""


def load_genotype(
    path_or_name: str | os.PathLike[str], recurrent: bool | None = False
) -> AnyGenotype:
    """Returns a genotype of the zoo by name, or reads one from a file in any supported notation.

    Args:
        path_or_name: a name in `GENOTYPES`, or in `RECURRENT_GENOTYPES`; the path of a file with a
            genotype, or of a run's folder, which has one; or, for a file with several, its path, a
            colon and the name in the file or a number: `genotypes.py:DARTS_V2`, `search.log:-1` for
            the last. Or a cell of NAS-Bench-201 itself, `|nor_conv_3x3~0|+|none~0|...|`.
        recurrent: whether a recurrent cell is expected. None accepts a file of either kind, and
            looks names up in `GENOTYPES`.

    Raises:
        InputError: neither a name nor a file, or a file without a genotype of that kind.
    """
    known = RECURRENT_GENOTYPES if recurrent else GENOTYPES
    if path_or_name in known:
        return known[path_or_name]
    if is_edge_notation(str(path_or_name)):
        if recurrent:
            raise _of_other_kind(recurrent)
        return from_edge_notation(str(path_or_name))
    path, name = pathlib.Path(path_or_name), None
    if os.path.isdir(path):
        path = _file_in(path)
    if not os.path.isfile(path):
        path, _, name = str(path_or_name).rpartition(":")
        if not os.path.isfile(path):
            raise _unknown(str(path_or_name), known, bool(recurrent))
    try:
        genotype = parse(pathlib.Path(path).read_bytes(), name)
        if recurrent not in (None, genotype.on_text):
            raise _of_other_kind(recurrent)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    return genotype


def short_name(path_or_name: str | os.PathLike[str]) -> str:
    """Returns a name for titles and folders: `DARTS_V2` for the genotype `genotypes.py:DARTS_V2`.

    Args:
        path_or_name: as `load_genotype` takes it. One of several that is chosen by its number is
            named after the file: `search-2` for `search.log:2`, `search-last` for `search.log:-1`.
            A cell in NAS-Bench-201's notation is named after its operations: `cell-333133`.
    """
    text = os.fspath(path_or_name)
    if is_edge_notation(text):
        genotype = from_edge_notation(text)
        listed_there = set(genotype.operations) <= set(EDGE_PRIMITIVES)
        return f"cell-{edge_digits(genotype) if listed_there else '-'.join(genotype.operations)}"
    path, _, name = text.rpartition(":")
    if not path or os.path.isfile(text):
        return pathlib.Path(text).stem
    if not re.fullmatch(r"-?\d+", name):
        return name
    number = name if int(name) > 0 else f"last{name if name != '-1' else ''}"
    return f"{pathlib.Path(path).stem}-{number}"


def _file_in(folder: pathlib.Path) -> pathlib.Path:
    """Returns the file of the genotype in the folder of a run or of an export.

    Raises:
        InputError: there is none; the message names a folder below that has one.
    """
    if (folder / FILE).is_file():
        return folder / FILE
    below = sorted(path.parent for path in folder.glob(f"*/{FILE}"))
    hint = f". Did you mean {str(below[0])!r}?" if below else ""
    raise InputError(
        "Expected a genotype's name or file, or the folder of a run that has one. "
        f"Received: {folder}, a folder without {FILE}{hint}"
    )


def _of_other_kind(recurrent: bool) -> InputError:
    kinds = ("cells for images", "a recurrent cell, for text")
    wanted, received = kinds[recurrent], kinds[not recurrent]
    return InputError(f"Expected {wanted}. Received: {received}")


def _unknown(name: str, known: Mapping[str, object], recurrent: bool) -> InputError:
    plain = name.replace("-", "_")
    if name in (GENOTYPES if recurrent else RECURRENT_GENOTYPES):
        return InputError(f"{name}: {_of_other_kind(recurrent)}")
    if plain in NOT_EXPRESSIBLE:
        return InputError(
            "Expected a genotype of two inputs and one output per cell and known primitives. "
            f"Received: {name}: {NOT_EXPRESSIBLE[plain]}"
        )
    if os.sep in name or pathlib.Path(name).suffix in (".json", ".py", ".txt"):
        return InputError(
            "Expected a genotype's name or file, or the folder of a run that has one. "
            f"Received: {shown(name)}, {not_there(name)}"
        )
    alike = nearest(name, known) or similar(name)
    hint = f" Did you mean {str(alike)!r}?" if alike else ""
    return InputError(
        f"Expected genotype to be one of {listed(known)}, a file, or the folder of a run. "
        f"Received: genotype={shown(name)}.{hint}"
    )
