"""One search step: time, start-up part by part, and peak memory, for each estimator.

    python benchmarks/search_step.py --cells 8 --channels 16 --batch-size 16

Every estimator runs in a process of its own. "start" is from the process's first line to the end of
the first step: imports, building, tracing, and the first run, in which TensorFlow prepares the
graph. "load" is the time that importing takes, and so on.
"""

import time

BEGAN = time.perf_counter()

import argparse  # noqa: E402
import json  # noqa: E402
import os  # noqa: E402

ESTIMATORS = ("first_order", "second_order", "finite_difference")
PARTS = ("imports", "building", "tracing", "first run")
TARGETS = {  # step and start in seconds, memory in GB: 16 channels, 8 cells, 32x32, batch 16
    "first_order": (2.2, 25, 2.5),
    "second_order": (5.0, 45, 4.0),
    "finite_difference": (4.5, 30, 3.0),
}


def arguments():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--arch-gradient", nargs="+", choices=ESTIMATORS, default=ESTIMATORS)
    parser.add_argument("--cells", type=int, default=8)
    parser.add_argument("--channels", type=int, default=16)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--image-size", type=int, default=32)
    parser.add_argument("--partial-channels", type=int, default=1)
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--jit-compile", choices=("on", "off"), default="off")
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="measure here; print JSON alone")
    return parser.parse_args()


def measure(args) -> dict:
    """Steps of one estimator, in this process."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import statistics

    import numpy as np
    import tensorflow as tf
    from measuring import peak_gigabytes

    from darts_tf.configs import SearchConfig
    from darts_tf.execution import dtype_policy, graph_optimizer_off, prefer_parallel_operations
    from darts_tf.searching import build_trainer

    prefer_parallel_operations()
    marks = [time.perf_counter()]
    names = ("cells", "channels", "batch_size", "partial_channels", "precision", "jit_compile")
    settings = {name: getattr(args, name) for name in names}
    config = SearchConfig(workdir="unused", arch_gradient=args.arch_gradient[0], **settings)
    with dtype_policy(config.precision):
        trainer = build_trainer(config, classes=10, image_channels=3)
    marks.append(time.perf_counter())
    rng, shape = np.random.default_rng(0), (args.image_size, args.image_size, 3)
    pair = [
        (tf.constant(rng.normal(size=(args.batch_size, *shape)), tf.float32),
         tf.constant(rng.integers(0, 10, args.batch_size), tf.int32))
        for _ in range(2)
    ]  # fmt: skip
    any_size = [
        (tf.TensorSpec((None, *shape), tf.float32), tf.TensorSpec((None,), tf.int32))
    ] * 2  # as the data come, whose last batch is smaller

    @tf.function(autograph=False, jit_compile=trainer.jit_compile, input_signature=[any_size])
    def step(data):
        return trainer.train_step(data)["loss"]

    times = []
    with graph_optimizer_off():
        graph = step.get_concrete_function().graph
        marks.append(time.perf_counter())
        float(step(pair))
        marks.append(time.perf_counter())
        for _ in range(args.steps):
            start = time.perf_counter()
            float(step(pair))
            times.append(time.perf_counter() - start)
    parts = [end - start for start, end in zip([BEGAN, *marks], marks, strict=False)]
    return {
        "arch_gradient": config.arch_gradient,
        "step": statistics.median(times),
        "start": marks[-1] - BEGAN,
        **dict(zip(PARTS, parts, strict=True)),
        "peak_gb": peak_gigabytes(),
        "tensors_gb": _tensors_gigabytes(tf),
        "nodes": len(graph.get_operations()),
        "steps": times,
    }


def _tensors_gigabytes(tf) -> float | None:
    try:
        return tf.config.experimental.get_memory_info("CPU:0")["peak"] / 1e9
    except ValueError:  # only where oneDNN allocates
        return None


def flags(args) -> list[str]:
    """The settings as a command line, but for the estimators."""
    kept = {k: v for k, v in vars(args).items() if k not in ("arch_gradient", "json")}
    return [word for name, value in kept.items() for word in (f"--{name.replace('_', '-')}", value)]


def main():
    """Measures all estimators, each in its process."""
    args = arguments()
    if args.json:
        print(json.dumps(measure(args)))
        return
    from measuring import in_process_of_its_own, save, show

    results = [
        in_process_of_its_own("search_step.py", "--arch-gradient", name, *flags(args))
        for name in args.arch_gradient
    ]
    paper = (args.cells, args.channels, args.batch_size, args.image_size) == (8, 16, 16, 32)
    plain = paper and args.partial_channels == 1 and args.precision == "float32"
    rows = []
    for r in results:
        wanted = TARGETS[r["arch_gradient"]] if plain else ("", "", "")
        measured = (r["step"], r["start"], r["peak_gb"])
        pairs = [cell for pair in zip(measured, wanted, strict=True) for cell in pair]
        rows.append([r["arch_gradient"], *pairs, r["tensors_gb"] or "-"])
    title = f"search step: {args.channels} channels, {args.cells} cells, batch {args.batch_size}"
    columns = (
        "gradient",
        "step s",
        "at most",
        "start s",
        "at most",
        "peak GB",
        "at most",
        "tensors",
    )
    show(title, columns, rows)
    show(
        "start",
        ("gradient", *PARTS),
        [[r["arch_gradient"], *(r[p] for p in PARTS)] for r in results],
    )
    save("search_step" if plain else "search_step_other", {"settings": vars(args), "runs": results})


if __name__ == "__main__":
    main()
