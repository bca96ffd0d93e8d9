"""`darts-tf inspect`: what a genotype is and costs, cell by cell."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table

from darts_tf.activations import peak_memory
from darts_tf.configs import InspectConfig
from darts_tf.counting import costs, count_elementwise, count_macs, count_params
from darts_tf.genotype import Genotype
from darts_tf.network import build_network
from darts_tf.notation import to_nni, to_python
from darts_tf.scaling import scaled
from darts_tf.stems import USUAL_CLASSES, USUAL_SIZE, check_image_size
from darts_tf.zoo import load_genotype

NOTATIONS = {"python": to_python, "nni": to_nni, "json": Genotype.to_json}
"""How a genotype can be written, by the name of the notation."""


def run(config: InspectConfig) -> int:
    """Prints the cells, what every part of the network costs, and the sums; or a notation alone."""
    genotype = load_genotype(config.genotype)
    if config.notation:
        print(NOTATIONS[config.notation](genotype), end="")
        return 0
    size = config.image_size or USUAL_SIZE[config.stem]
    check_image_size(size, size, config.stem)
    classes = config.classes or USUAL_CLASSES[config.stem]
    config = scaled(config, genotype, classes, size, config.image_channels)
    network = build_network(
        genotype,
        channels=config.channels,
        cells=config.cells,
        classes=classes,
        stem=config.stem,
        auxiliary=False,
        image_channels=config.image_channels,
    )
    console = Console()
    console.print(_cell_table("normal", genotype), _cell_table("reduce", genotype))
    console.print(_cost_table(network, size))
    macs, elementwise = count_macs(network, size), count_elementwise(network, size)
    if config.max_macs:
        console.print(f"{config.channels} channels, for at most {config.max_macs:,} MACs")
    console.print(f"parameters {count_params(network):,}")
    console.print(f"MACs {macs:,} (convolutions and dense layers)")
    console.print(f"MACs {macs + elementwise:,} (and 2 x normalised + rectified values)")
    peak = max(peak_memory(network, size))
    console.print(f"memory {peak:,} bytes (most activations alive at once: one image, float32)")
    return 0


def _cell_table(cell: str, genotype: Genotype) -> Table:
    pairs, concat = getattr(genotype, cell), getattr(genotype, f"{cell}_concat")
    table = Table("node", "first edge", "second edge", "in the output", title=f"{cell} cell")
    for node in range(len(pairs) // 2):
        edges = [f"{primitive} of {source}" for primitive, source in pairs[2 * node : 2 * node + 2]]
        table.add_row(str(node + 2), *edges, "yes" if node + 2 in concat else "no")
    return table


def _cost_table(network, image_size: int) -> Table:
    title = f"network on {image_size}x{image_size} images"
    table = Table("part", title=title, box=box.SIMPLE, pad_edge=False)  # rows fit a terminal
    for column in ("parameters", "MACs", "element-\nwise", "memory\n(kB)", "output"):
        table.add_column(column, justify="right")
    for part, peak in zip(
        costs(network, image_size), peak_memory(network, image_size), strict=True
    ):
        numbers = (part.params, part.macs, part.elementwise, peak / 1000)
        counts = (f"{n:,.0f}" for n in numbers)
        table.add_row(part.name, *counts, f"{part.height}x{part.width}x{part.channels}")
    return table
