"""Cost of a search step for each estimator: time, start-up by part, and peak memory.

    python benchmarks/search_step.py --cells 8 --channels 16 --batch-size 16

Every estimator runs in a separate process. "start" is the time from the process's first line to the
end of the first step: imports, building, tracing, and the first run, in which TensorFlow prepares
the graph.
"""

import time

BEGAN = time.perf_counter()

import json  # noqa: E402

import measuring  # noqa: E402

TARGETS = {  # step and start in seconds, memory in GB: 16 channels, 8 cells, 32x32, batch 16
    "first_order": (2.2, 25, 2.5),
    "second_order": (5.0, 45, 4.0),
    "finite_difference": (4.5, 30, 3.0),
}
"""Target costs by estimator."""


def arguments():
    """Parses the command line."""
    sizes = {"cells": 8, "channels": 16, "batch_size": 16, "image_size": 32}
    parser = measuring.step_arguments(__doc__.splitlines()[0], **sizes, partial_channels=1)
    parser.add_argument("--arch-gradient", nargs="+", choices=TARGETS, default=list(TARGETS))
    parser.add_argument("--jit-compile", choices=("on", "off"), default="off")
    return parser.parse_args()


def measure(args) -> dict:
    """Measures steps of one estimator in this process."""
    from darts_tf.cli.startup import start_tensorflow

    start_tensorflow()
    import tensorflow as tf

    from darts_tf.configs import SearchConfig
    from darts_tf.runtime.execution import dtype_policy
    from darts_tf.search.images import build_trainer

    marks = [BEGAN, time.perf_counter()]
    names = ("cells", "channels", "batch_size", "partial_channels", "precision", "jit_compile")
    settings = {name: getattr(args, name) for name in names}
    (name,) = args.arch_gradient
    config = SearchConfig(workdir="unused", arch_gradient=name, **settings)
    with dtype_policy(config.precision):
        trainer = build_trainer(config, classes=10, image_channels=3)
    marks.append(time.perf_counter())
    (train, types), (valid, _) = (
        measuring.random_batch(args.batch_size, args.image_size, seed) for seed in range(2)
    )

    @tf.function(autograph=False, jit_compile=trainer.jit_compile, input_signature=[(types, types)])
    def step(data):
        return trainer.train_step(data)["loss"]

    costs = measuring.start_and_steps(step, ((train, valid),), marks, args.steps)
    return {"arch_gradient": name, **costs}


def main():
    """Measures every estimator in a separate process, and prints tables."""
    args = arguments()
    if args.json:
        print(json.dumps(measure(args)))
        return
    results = measuring.each_estimator("search_step.py", args)
    paper = (args.cells, args.channels, args.batch_size, args.image_size) == (8, 16, 16, 32)
    otherwise = (args.partial_channels, args.precision, args.jit_compile)
    plain = paper and otherwise == (1, "float32", "off")
    rows = []
    for r in results:
        wanted = TARGETS[r["arch_gradient"]] if plain else ("", "", "")
        measured = (r["step"], r["start"], r["peak_gb"])
        pairs = [cell for pair in zip(measured, wanted, strict=True) for cell in pair]
        rows.append([r["arch_gradient"], *pairs, r["tensors_gb"] or "-"])
    title = f"search step: {args.channels} channels, {args.cells} cells, batch {args.batch_size}"
    measures = [word for name in ("step s", "start s", "peak GB") for word in (name, "at most")]
    measuring.show(title, ("gradient", *measures, "tensors"), rows)
    measuring.show(
        "start",
        ("gradient", *measuring.PARTS),
        [[r["arch_gradient"], *(r[p] for p in measuring.PARTS)] for r in results],
    )
    name = "search_step" if plain else "search_step_other"
    measuring.save(name, {"settings": vars(args), "runs": results})


if __name__ == "__main__":
    main()
