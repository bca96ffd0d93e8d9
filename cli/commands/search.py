"""`darts-tf search`: search for a genotype on a dataset."""

from __future__ import annotations

from darts_tf.cli.jobs import begin, end_of_search, prepare, search_text, search_with_progress
from darts_tf.configs import SearchConfig, TextSearchConfig


def run(config: SearchConfig | TextSearchConfig) -> int:
    """Searches, and prints the genotype and its changes."""
    prepare(config)
    begin("search", config)
    genotype = (search_text if config.on_text else search_with_progress)(config)
    end_of_search("search", config, genotype)
    return 0
