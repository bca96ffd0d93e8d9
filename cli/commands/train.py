"""`darts-tf train`: from a genotype to a trained network."""

from __future__ import annotations

from darts_tf.cli import output
from darts_tf.cli.jobs import begin, follow, prepare, train_text, train_with_progress

from darts_tf.configs import TextTrainConfig, TrainConfig
from darts_tf.configs.presets import EXPECTED
from darts_tf.runs import files


def run(config: TrainConfig | TextTrainConfig) -> int:
    """Trains the network from scratch, tests it and keeps it."""
    prepare(config)
    begin("train", config)
    if config.preset in EXPECTED:
        output.say(f"preset {config.preset}: the whole recipe reaches {EXPECTED[config.preset]}")
    if config.on_text:
        metrics = train_text(config)
    else:
        metrics = train_with_progress(config)
        watched = "valid" if config.validation_split else "test"
        output.result(f"\n{watched} accuracy {metrics[f'{watched}_accuracy']:.2%}")
    model = config.workdir / files.MODEL
    output.event("end", command="train", run=config.workdir, network=model, metrics=metrics)
    output.result(f"network: {model}")
    follow("next", f"export --workdir {config.workdir} --output DIR")
    return 0
