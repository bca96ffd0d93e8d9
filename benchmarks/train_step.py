"""Cost of a training step of DARTS_V2 with 36 channels, 20 cells and auxiliary head.

python benchmarks/train_step.py --batch-size 16
"""

import time

BEGAN = time.perf_counter()

import json  # noqa: E402

import measuring  # noqa: E402

TARGETS = (0.8, 25, 1.7)


def arguments():
    """Parses the command line."""
    sizes = {"cells": 20, "channels": 36, "batch_size": 16}
    parser = measuring.step_arguments(__doc__.splitlines()[0], **sizes)
    parser.add_argument("--genotype", default="DARTS_V2")
    parser.add_argument("--drop-path", type=float, default=0.0)
    return parser.parse_args()


def measure(args) -> dict:
    """Measures steps in this process."""
    from darts_tf.cli.startup import start_tensorflow

    start_tensorflow()
    import tensorflow as tf

    from darts_tf.configs import TrainConfig
    from darts_tf.runtime.execution import dtype_policy
    from darts_tf.spaces.zoo import load_genotype
    from darts_tf.training.network_trainer import build_trainer

    marks = [BEGAN, time.perf_counter()]
    names = ("genotype", "cells", "channels", "batch_size", "drop_path", "precision")
    settings = {name: getattr(args, name) for name in names}
    config = TrainConfig(workdir="unused", auxiliary=True, **settings)
    with dtype_policy(config.precision):
        trainer = build_trainer(
            config, load_genotype(config.genotype), classes=10, image_channels=3
        )
    marks.append(time.perf_counter())
    batch, types = measuring.random_batch(args.batch_size, size=32)

    @tf.function(autograph=False, input_signature=types)
    def step(x, y):
        return trainer.train_step((x, y))["loss"]

    return measuring.start_and_steps(step, batch, marks, args.steps)


def main():
    """Measures in this process, and prints tables."""
    args = arguments()
    result = measure(args)
    if args.json:
        print(json.dumps(result))
        return
    title = f"training step: {args.genotype}, {args.channels} channels, {args.cells} cells"
    measured = (result["step"], result["start"], result["peak_gb"])
    names = ("step s", "start s", "peak GB")
    measuring.show(title, ("", "measured", "at most"), zip(names, measured, TARGETS, strict=True))
    measuring.show("start", measuring.PARTS, [[result[part] for part in measuring.PARTS]])
    measuring.save("train_step", {"settings": vars(args), "runs": [result]})


if __name__ == "__main__":
    main()
