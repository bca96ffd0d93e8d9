"""`darts-tf evaluate`: a trained network on its test split."""

from __future__ import annotations

from cli import quiet
from darts_tf.configs import EvaluateConfig
from darts_tf.training import evaluate


def run(config: EvaluateConfig) -> int:
    """Prints loss and accuracy on the test split of the run's dataset."""
    with quiet.held_stderr():
        metrics = evaluate(config.workdir, batch_size=config.batch_size, limit=config.limit)
    top5 = f"  top-5 {metrics['test_top5_accuracy']:.2%}" if "test_top5_accuracy" in metrics else ""
    print(
        f"test accuracy {metrics['test_accuracy']:.2%}{top5}  loss {metrics['test_loss']:.4f}  "
        f"on {metrics['test_images']:,} images"
    )
    return 0
