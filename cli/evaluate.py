"""`darts-tf evaluate`: a trained network on its test split."""

from __future__ import annotations

from darts_tf import runs
from darts_tf.configs import EvaluateConfig
from darts_tf.training import evaluate


def run(config: EvaluateConfig) -> int:
    """Prints loss and accuracy on the test split of the run's dataset."""
    runs.existing(config.workdir, runs.MODEL)
    metrics = evaluate(config.workdir, batch_size=config.batch_size, limit=config.limit)
    for name, value in metrics.items():
        print(f"{name:<16}{value:.6g}")
    return 0
