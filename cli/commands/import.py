"""`darts-tf import`: conversion of the authors' PyTorch weights to a training run."""

from __future__ import annotations

from darts_tf.cli import lookup, output, startup
from darts_tf.configs import ImportConfig, TrainConfig
from darts_tf.models.counting import count_params
from darts_tf.models.language_model import LanguageModel
from darts_tf.runs import files
from darts_tf.training.import_weights import import_run


def run(config: ImportConfig) -> int:
    """Writes the run's folder, and prints the size of the network."""
    with startup.held_stderr():
        network = import_run(config)
    if isinstance(network, LanguageModel):
        output.result(
            f"{network.cell.units} units, {network.vocabulary:,} words: "
            f"{count_params(network):,} parameters"
        )
    else:
        trained = TrainConfig.from_dict(files.read_json(config.output / files.CONFIG))
        auxiliary = " and an auxiliary head" if trained.auxiliary else ""
        output.result(
            f"{trained.channels} channels, {trained.cells} cells, {network.head.classes} classes: "
            f"{count_params(network):,} parameters{auxiliary}"
        )
    output.result(f"network: {config.output / files.MODEL}")
    output.result(f"next: {lookup.command('evaluate', config.output)}")
    return 0
