"""`darts-tf inspect`: the cells of a genotype, and the cost of its network part by part."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table

from darts_tf import registry
from darts_tf.cli import startup
from darts_tf.cli.commands.plot import PICTURES, check_picture, write
from darts_tf.configs import InspectConfig
from darts_tf.costs.activation_memory import peak_memory
from darts_tf.costs.formulas import Cost, word_costs
from darts_tf.costs.parts import Target
from darts_tf.errors import InputError, unknown_name
from darts_tf.layers.primitives import PRIMITIVES
from darts_tf.layers.stems import USUAL_CLASSES, USUAL_SIZE
from darts_tf.models.counting import checked_target, genotype_costs
from darts_tf.models.scaling import scaled
from darts_tf.spaces.genotype import CELL_TITLES, Genotype, RecurrentGenotype, cell_table
from darts_tf.spaces.notation import to_nni, to_python
from darts_tf.spaces.zoo import load_genotype

CHANNELS = 16
"""Default number of channels of the states that a primitive is shown on."""

NOTATIONS = {"python": to_python, "nni": to_nni, "json": lambda genotype: genotype.to_json()}
"""Functions that write a genotype, by the name of the notation."""


def run(config: InspectConfig) -> int:
    """Prints the cells and the cost of every part of the network, or only a notation.

    For a primitive, prints its cost and the agreement of its exported files with Keras.
    """
    if config.primitive:
        _show_primitive(config.primitive, config.channels or CHANNELS)
        return 0
    genotype = load_genotype(config.genotype, recurrent=config.recurrent or None)
    recurrent = isinstance(genotype, RecurrentGenotype)
    config = config.completed(recurrent)
    if config.picture:
        check_picture("picture", config.picture, PICTURES)
    if config.notation:
        print(NOTATIONS[config.notation](genotype), end="")
    elif recurrent:
        _show_language_model(genotype, config)
    else:
        _show_network(genotype, config)
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


def _show_network(genotype: Genotype, config: InspectConfig) -> None:
    size = config.image_size or USUAL_SIZE[config.stem]
    classes = config.classes or USUAL_CLASSES[config.stem]
    config = scaled(config, genotype, classes, size, config.image_channels)
    sizes = (config.channels, config.cells, size, size, config.stem, classes)
    target = checked_target(Target(*sizes, config.image_channels))
    costs, peaks = genotype_costs(target, genotype), peak_memory(target, genotype)
    console = Console()
    console.print(_cell_table("normal", genotype), _cell_table("reduce", genotype))
    console.print(_cost_table(costs, peaks, size))
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


def _cell_table(cell: str, genotype: Genotype | RecurrentGenotype) -> Table:
    concat = "concat" if cell == "recurrent" else f"{cell}_concat"
    header, rows = cell_table(cell, getattr(genotype, cell), getattr(genotype, concat))
    table = Table(*header, title=CELL_TITLES[cell])
    for row in rows:
        table.add_row(*row)
    return table


def _cost_table(costs: list[Cost], peaks: list[int], image_size: int) -> Table:
    title = f"network on {image_size}x{image_size} images"
    table = Table("part", title=title, box=box.SIMPLE, pad_edge=False)  # rows fit a terminal
    for column in ("parameters", "MACs", "element-\nwise", "memory\n(kB)", "output"):
        table.add_column(column, justify="right")
    for part, peak in zip(costs, peaks, strict=True):
        numbers = (part.params, part.macs, part.elementwise, peak / 1000)
        counts = (f"{n:,.0f}" for n in numbers)
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
    console.print(_cell_table("recurrent", genotype), table)
    console.print(f"parameters {sum(part.params for part in parts):,}")
    console.print(f"MACs {sum(part.macs for part in parts):,} a word (matrix products)")
