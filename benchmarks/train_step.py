"""The training step of an evaluation network: DARTS_V2, 36 channels, 20 cells, auxiliary head.

python benchmarks/train_step.py --batch-size 16
"""

import time

BEGAN = time.perf_counter()

import argparse  # noqa: E402
import json  # noqa: E402
import os  # noqa: E402
import statistics  # noqa: E402

PARTS = ("imports", "building", "tracing", "first run")
TARGETS = (0.8, 25, 1.7)


def arguments():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--genotype", default="DARTS_V2")
    parser.add_argument("--cells", type=int, default=20)
    parser.add_argument("--channels", type=int, default=36)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--drop-path", type=float, default=0.0)
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--steps", type=int, default=7)
    parser.add_argument("--json", action="store_true", help="print JSON alone")
    return parser.parse_args()


def measure(args) -> dict:
    """Steps, in this process."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import numpy as np
    import tensorflow as tf
    from measuring import peak_gigabytes

    from darts_tf.configs import TrainConfig
    from darts_tf.execution import dtype_policy, graph_optimizer_off, prefer_parallel_operations
    from darts_tf.genotype import load_genotype
    from darts_tf.training import build_for

    prefer_parallel_operations()
    marks = [time.perf_counter()]
    names = ("genotype", "cells", "channels", "batch_size", "drop_path", "precision")
    settings = {name: getattr(args, name) for name in names}
    config = TrainConfig(workdir="unused", auxiliary=True, **settings)
    with dtype_policy(config.precision):
        network = build_for(config, load_genotype(config.genotype), classes=10, image_channels=3)
    marks.append(time.perf_counter())
    rng = np.random.default_rng(0)
    x = tf.constant(rng.normal(size=(args.batch_size, 32, 32, 3)), tf.float32)
    y = tf.constant(rng.integers(0, 10, args.batch_size), tf.int32)
    any_size = [tf.TensorSpec((None, 32, 32, 3), tf.float32), tf.TensorSpec((None,), tf.int32)]

    @tf.function(autograph=False, input_signature=any_size)
    def step(x, y):
        return network.train_step((x, {"logits": y, "auxiliary": y}))["loss"]

    times = []
    with graph_optimizer_off():
        graph = step.get_concrete_function().graph
        marks.append(time.perf_counter())
        float(step(x, y))
        marks.append(time.perf_counter())
        for _ in range(args.steps):
            start = time.perf_counter()
            float(step(x, y))
            times.append(time.perf_counter() - start)
    parts = [end - start for start, end in zip([BEGAN, *marks], marks, strict=False)]
    return {
        "step": statistics.median(times),
        "start": marks[-1] - BEGAN,
        **dict(zip(PARTS, parts, strict=True)),
        "peak_gb": peak_gigabytes(),
        "nodes": len(graph.get_operations()),
        "steps": times,
    }


def main():
    """Measures in this process."""
    args = arguments()
    result = measure(args)
    if args.json:
        print(json.dumps(result))
        return
    from measuring import save, show

    title = f"training step: {args.genotype}, {args.channels} channels, {args.cells} cells"
    measured = (result["step"], result["start"], result["peak_gb"])
    names = ("step s", "start s", "peak GB")
    show(title, ("", "measured", "at most"), zip(names, measured, TARGETS, strict=True))
    show("start", PARTS, [[result[part] for part in PARTS]])
    save("train_step", {"settings": vars(args), **result})


if __name__ == "__main__":
    main()
