"""Communication of replicas in a search step: collective operations and bytes in its graph.

python benchmarks/communication.py
"""

import json

import measuring

ESTIMATORS = ("first_order", "second_order", "finite_difference")


def arguments():
    """Parses the command line."""
    sizes = {"cells": 8, "channels": 16, "devices": 2, "batch_size": 16}
    parser = measuring.step_arguments(__doc__.splitlines()[0], **sizes)
    parser.add_argument("--estimator", choices=ESTIMATORS)
    parser.add_argument("--sync-batch-norm", action="store_true")
    return parser.parse_args()


def measure(args) -> dict:
    """Traces a step on parts of the processor, and counts its communication per replica."""
    from darts_tf.cli.startup import start_tensorflow

    start_tensorflow()
    from darts_tf.configs import SearchConfig
    from darts_tf.runtime.distribution import make_strategy

    strategy = make_strategy("mirrored", args.devices)
    import tensorflow as tf

    from darts_tf.search.images import build_trainer

    config = SearchConfig(
        workdir="unused",
        channels=args.channels,
        cells=args.cells,
        arch_gradient=args.estimator,
        sync_batch_norm=args.sync_batch_norm,
    )
    with strategy.scope():
        trainer = build_trainer(config, classes=10, image_channels=3)
    _, types = measuring.random_batch(args.batch_size, size=32)

    @tf.function(autograph=False)
    def step(pair):
        strategy.run(trainer.train_step, args=(pair,))

    graph = step.get_concrete_function((types, types)).graph
    collectives = [op for op in graph.get_operations() if op.type == "CollectiveReduceV2"]
    sizes = [op.inputs[0].shape.num_elements() * op.inputs[0].dtype.size for op in collectives]
    weights = sum(v.shape.num_elements() for v in trainer.weights_to_train)
    return {
        "estimator": args.estimator,
        "collectives": len(collectives) // args.devices,
        "bytes": sum(sizes) // args.devices,
        "weights": weights,
        "weights_moved": sum(sizes) / args.devices / 4 / weights,
    }


def main():
    """Measures every estimator in a separate process, or with `--json` one in this process."""
    args = arguments()
    if args.json:
        print(json.dumps(measure(args)))
        return
    options = ["--cells", args.cells, "--channels", args.channels, "--devices", args.devices]
    options += ["--sync-batch-norm"] if args.sync_batch_norm else []
    results = [
        measuring.in_process_of_its_own("communication.py", "--estimator", name, *options)
        for name in ([args.estimator] if args.estimator else ESTIMATORS)
    ]
    columns = ("estimator", "collectives", "bytes", "weights", "weights_moved")
    rows = [[result[column] for column in columns] for result in results]
    measuring.show(f"a search step of {args.devices} replicas, each of them", columns, rows)
    measuring.save("communication", {"settings": vars(args), "runs": results})


if __name__ == "__main__":
    main()
