"""`darts-tf inspect`: the cells of a genotype, and the cost of its network part by part."""

from __future__ import annotations

import pathlib

from rich import box
from rich.console import Console
from rich.table import Table

from darts_tf import registry
from darts_tf.cli import startup
from darts_tf.cli.commands.plot import PICTURES, check_picture, write
from darts_tf.configs import InspectConfig
from darts_tf.configs.commands import OF_IMAGES
from darts_tf.costs.activation_memory import peak_memory
from darts_tf.costs.formulas import Cost, word_costs
from darts_tf.costs.parts import Target
from darts_tf.errors import InputError, unknown_name
from darts_tf.layers.primitives import PRIMITIVES
from darts_tf.layers.stems import USUAL_CLASSES, USUAL_SIZE
from darts_tf.models.counting import checked_target, genotype_costs
from darts_tf.models.network import check_stack
from darts_tf.models.scaling import scaled
from darts_tf.runs import files
from darts_tf.runtime.numbers import rounded
from darts_tf.search.target import target_of_run
from darts_tf.spaces import truth
from darts_tf.spaces.genotype import (
    AnyGenotype,
    DiscreteCell,
    EdgeGenotype,
    RecurrentGenotype,
    cell_table,
)
from darts_tf.spaces.notation import to_edge_notation, to_nni, to_python
from darts_tf.spaces.search_spaces import NAS_BENCH_201
from darts_tf.spaces.zoo import load_genotype

CHANNELS = 16
"""Default number of channels of the states that a primitive is shown on."""

NOTATIONS = {
    **{"python": to_python, "nni": to_nni, "nas-bench-201": to_edge_notation},
    "json": lambda genotype: genotype.to_json(),
}
"""Functions that write a genotype, by the name of the notation."""


def run(config: InspectConfig) -> int:
    """Prints the cells and the cost of every part of the network, or only a notation.

    For a primitive, prints its cost and the agreement of its exported files with Keras.
    """
    if config.primitive:
        _show_primitive(config.primitive, config.channels or CHANNELS)
        return 0
    genotype = load_genotype(config.genotype, recurrent=config.recurrent or None)
    recurrent = genotype.on_text
    folder = None if recurrent else _run_of(config.genotype)
    target = target_of_run(folder) if folder else None
    config = config.completed(genotype, _settings(target, config))
    if config.picture:
        check_picture("picture", config.picture, PICTURES)
    if config.notation:
        print(NOTATIONS[config.notation](genotype), end="")
    elif recurrent:
        _show_language_model(genotype, config)
    else:
        _show_network(genotype, config, target)
    if config.picture:
        from darts_tf.plots.figures import plot_genotype  # matplotlib takes its time

        write(plot_genotype(genotype), config.picture)
    return 0


def _show_primitive(name: str, channels: int) -> None:
    from darts_tf.export.primitive_check import check_primitive

    if name not in PRIMITIVES:
        raise InputError(f"{unknown_name('primitive', name, PRIMITIVES)}{registry.HINT}")
    with startup.held_stderr():  # of the converter
        checks = check_primitive(name, channels)
    table = Table("stride", title=f"{name} with {channels} channels")
    for column in ("state", "parameters", "MACs", "from Keras", "XNNPACK parts", "left to TFLite"):
        table.add_column(column, justify="right")
    for check in checks:
        size = "x".join(map(str, check.size))
        counts = (f"{check.params:,}", f"{check.macs:,}", f"{check.difference:.1e}")
        left = ", ".join(check.left) or "nothing"
        table.add_row(str(check.stride), size, *counts, str(check.partitions), left)
    console = Console()
    console.print(table)
    console.print("its TFLite files have only built-in operations, and agree with Keras")


def _run_of(genotype: str) -> pathlib.Path | None:
    """Returns the folder of the run whose genotype a path names; None for other genotypes."""
    path = pathlib.Path(genotype)
    folder = path.parent if path.name == files.GENOTYPE else path
    return folder if files.is_run(folder) else None


def _settings(target: Target | None, config: InspectConfig) -> dict[str, object]:
    """Returns the settings of the network of a run, those that the user's do not replace."""
    if target is None:
        return {}
    names = ("channels", "cells", "stem", "image_channels")
    names += ("classes",) if config.stem in (None, target.stem) else ()
    return {name: getattr(target, name) for name in names}


def _show_network(genotype: AnyGenotype, config: InspectConfig, of_run: Target | None) -> None:
    check_stack(type(genotype), config.cells, config.stem)
    if config.image_size is None and of_run and config.stem == of_run.stem:
        size = (of_run.height, of_run.width)
    else:
        size = (config.image_size or USUAL_SIZE[config.stem],) * 2
    classes = config.classes or USUAL_CLASSES[config.stem]
    config = scaled(config, genotype, classes, size, config.image_channels)
    sizes = (config.channels, config.cells, *size, config.stem, classes)
    target = checked_target(Target(*sizes, config.image_channels, genotype.stages))
    costs, peaks = genotype_costs(target, genotype), peak_memory(target, genotype)
    console = Console()
    console.print(*map(_cell_table, genotype.cells))
    console.print(_cost_table(costs, peaks, size))
    console.print(f"network: {target}{_origin(genotype, target, of_run)}")
    params, macs, elementwise = (
        sum(getattr(component, name) for component in costs)
        for name in ("params", "macs", "elementwise")
    )
    if config.max_macs:
        console.print(f"{config.channels} channels, for at most {config.max_macs:,} MACs")
    console.print(f"parameters {params:,}")
    console.print(f"MACs {macs:,} (convolutions and dense layers)")
    console.print(f"MACs {macs + elementwise:,} (and 2 x normalised + rectified values)")
    console.print(
        f"memory {max(peaks):,} bytes (most activations alive at once: one image, float32)"
    )
    if isinstance(genotype, EdgeGenotype) and truth.in_table(genotype.operations):
        _show_truth(genotype.operations, console)


def _show_truth(operations: tuple[str, ...], console: Console) -> None:
    """Prints the accuracies of a cell in the table of NAS-Bench-201, or how to get it."""
    if not truth.is_installed():
        console.print(f"validation accuracy in NAS-Bench-201: {truth.INSTALL}", markup=False)
        return
    lines = truth.truth_lines(operations, truth.load_truth(NAS_BENCH_201))
    console.print("validation accuracy in NAS-Bench-201, after 200 epochs:", *lines, sep="\n")


def _origin(genotype: AnyGenotype, target: Target, of_run: Target | None) -> str:
    """Says where the size of a network comes from."""
    if of_run == target:
        return ", as darts-tf train makes it"
    papers = {**genotype.usual_sizes, "stem": OF_IMAGES["stem"]}
    if of_run is None and all(getattr(target, name) == papers[name] for name in papers):
        return ", the papers' for CIFAR-10"
    return ""


def _cell_table(cell: DiscreteCell) -> Table:
    header, rows = cell_table(cell)
    table = Table(*header, title=cell.title)
    for row in rows:
        table.add_row(*row)
    return table


def _cost_table(costs: list[Cost], peaks: list[int], size: tuple[int, int]) -> Table:
    title = f"network on {size[0]}x{size[1]} images"
    table = Table("part", title=title, box=box.SIMPLE, pad_edge=False)  # rows fit a terminal
    for column in ("parameters", "MACs", "element-\nwise", "memory\n(kB)", "output"):
        table.add_column(column, justify="right")
    for part, peak in zip(costs, peaks, strict=True):
        counts = (f"{n:,}" for n in (part.params, part.macs, part.elementwise))
        counts = (*counts, rounded(peak / 1000, 0))
        table.add_row(part.name, *counts, f"{part.height}x{part.width}x{part.channels}")
    return table


def _show_language_model(genotype: RecurrentGenotype, config: InspectConfig) -> None:
    title = f"language model of {config.units:,} units and {config.vocabulary:,} words"
    table = Table("part", title=title, box=box.SIMPLE, pad_edge=False)
    for column in ("parameters", "MACs a word"):
        table.add_column(column, justify="right")
    parts = word_costs(config.units, config.vocabulary, len(genotype.recurrent))
    for part in parts:
        table.add_row(part.name, f"{part.params:,}", f"{part.macs:,}")
    console = Console()
    console.print(*map(_cell_table, genotype.cells), table)
    console.print(f"parameters {sum(part.params for part in parts):,}")
    console.print(f"MACs {sum(part.macs for part in parts):,} a word (matrix products)")
