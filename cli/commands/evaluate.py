"""`darts-tf evaluate`: test of a trained network on its test split."""

from __future__ import annotations

from darts_tf.cli import output, startup
from darts_tf.cli.jobs import show_perplexity
from darts_tf.configs import EvaluateConfig
from darts_tf.runs import files
from darts_tf.training import text
from darts_tf.training.images import evaluate

BATCH = 256
"""Default number of images per step."""


def run(config: EvaluateConfig) -> int:
    """Prints loss and accuracy, or perplexity, on the test split of the run's dataset."""
    options = {"limit": config.limit}
    if files.is_text_run(config.workdir):
        streams = config.batch_size or 1
        with startup.held_stderr():
            metrics = text.evaluate(config.workdir, batch_size=streams, **options)
        show_perplexity(metrics, streams)
        return 0
    with startup.held_stderr():
        metrics = evaluate(config.workdir, batch_size=config.batch_size or BATCH, **options)
    top5 = f"  top-5 {metrics['test_top5_accuracy']:.2%}" if "test_top5_accuracy" in metrics else ""
    output.result(
        f"test accuracy {metrics['test_accuracy']:.2%}{top5}  loss {metrics['test_loss']:.4f}  "
        f"on {metrics['test_images']:,} images"
    )
    return 0
