"""`darts-tf inspect`: what a genotype costs, cell by cell."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from darts_tf.configs import InspectConfig
from darts_tf.counting import count_macs, count_params
from darts_tf.genotype import Genotype, load_genotype
from darts_tf.network import build_network


def run(config: InspectConfig) -> int:
    """Prints the cells, and the network's parameters and multiply-adds."""
    genotype = load_genotype(config.genotype)
    network = build_network(
        genotype,
        channels=config.channels,
        cells=config.cells,
        classes=config.classes,
        stem=config.stem,
        auxiliary=False,
        image_channels=config.image_channels,
    )
    size = config.image_size or {"cifar": 32, "imagenet": 224}[config.stem]
    console = Console()
    console.print(_cell_table("normal", genotype), _cell_table("reduce", genotype))
    console.print(f"parameters      {count_params(network):>15,}")
    console.print(f"multiply-adds   {count_macs(network, image_size=size):>15,}")
    return 0


def _cell_table(cell: str, genotype: Genotype) -> Table:
    pairs, concat = getattr(genotype, cell), getattr(genotype, f"{cell}_concat")
    table = Table("node", "first edge", "second edge", "in the output", title=f"{cell} cell")
    for node in range(len(pairs) // 2):
        edges = [f"{primitive} of {source}" for primitive, source in pairs[2 * node : 2 * node + 2]]
        table.add_row(str(node + 2), *edges, "yes" if node + 2 in concat else "no")
    return table
