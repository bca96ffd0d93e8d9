"""`darts-tf search`: from a dataset to a genotype."""

from __future__ import annotations

from darts_tf import runs
from darts_tf.configs import SearchConfig
from darts_tf.data import load_dataset
from darts_tf.searching import search


def run(config: SearchConfig) -> int:
    """Searches, and prints the genotype as it evolves."""
    config = runs.settings(config)
    dataset = load_dataset(
        config.dataset, image_size=config.image_size, limit=config.limit, seed=config.seed
    )
    folder = runs.begin(config, dataset)
    genotype = search(config, dataset, folder, report=_print_epoch)
    genotype.save(folder / runs.GENOTYPE)
    print(f"{genotype}\n\nwritten: {folder / runs.GENOTYPE}")
    return 0


def _print_epoch(metrics: dict) -> None:
    numbers = "  ".join(
        f"{name} {value:.4g}" for name, value in metrics.items() if isinstance(value, float)
    )
    print(f"epoch {metrics['epoch']}  {numbers}", flush=True)
    if "genotype" in metrics:
        print(metrics["genotype"], flush=True)
