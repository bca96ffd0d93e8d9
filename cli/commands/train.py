"""`darts-tf train`: training of a genotype's network."""

from __future__ import annotations

from darts_tf.cli import lookup, output
from darts_tf.cli.jobs import (
    begin,
    cells_of,
    end_of_run,
    follow,
    prepare,
    train_text,
    train_with_progress,
)
from darts_tf.configs import TextTrainConfig, TrainConfig
from darts_tf.configs.presets import EXPECTED
from darts_tf.runs import files
from darts_tf.spaces.genotype import Genotype, RecurrentGenotype


def run(config: TrainConfig | TextTrainConfig) -> int:
    """Trains the network from scratch, tests it and saves it."""
    prepare(config)
    begin("train", config)
    if config.preset in EXPECTED and isinstance(cells_of(config), Genotype | RecurrentGenotype):
        output.say(f"preset {config.preset}: its full recipe reaches {EXPECTED[config.preset]}")
    if config.on_text:
        metrics = train_text(config)
    else:
        metrics = train_with_progress(config)
        split, key = ("validation", "valid") if config.validation_split else ("test", "test")
        output.result(f"\n{split} accuracy {metrics[f'{key}_accuracy']:.2%}")
    model = config.workdir / files.MODEL
    output.event("end", command="train", run=config.workdir, network=model, metrics=metrics)
    output.result(f"network: {model}")
    end_of_run(config.workdir)
    follow("next", "export", config.workdir, "--output", lookup.export_folder(config.workdir))
    return 0
