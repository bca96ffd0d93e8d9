"""Latencies predicted from a table of parts, compared with those of whole exported networks.

    python benchmarks/latency_prediction.py

Profiles the parts of a small network like `darts-tf profile`, exports networks of random genotypes
to TFLite, and runs these in turns. A search needs the right order, measured by Spearman's rank
correlation. The mean absolute error states how far a budget can be trusted. A profile scales its
parts by the latencies of three other networks than the twenty here. The error is also printed with
the factor that would fit these twenty best.
"""

from __future__ import annotations

import argparse
import collections
import pathlib
import tempfile

TURN = 10
"""Consecutive runs of a network before the next one is measured."""


def main():
    """Prints a line for every network, and the agreement over all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--genotypes", type=int, default=20)
    parser.add_argument("--channels", type=int, default=16)
    parser.add_argument("--cells", type=int, default=5)
    parser.add_argument("--image-size", type=int, default=32)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=0.2, help="for each part")
    parser.add_argument("--runs", type=int, default=300, help="of each network")
    args = parser.parse_args()
    from darts_tf.cli.startup import held_stderr, start_tensorflow

    start_tensorflow()
    from measuring import save, show

    from darts_tf.costs.parts import Target

    target = Target(args.channels, args.cells, args.image_size, args.image_size)
    with held_stderr():
        rows = predicted_and_measured(target, args)
    columns = ["genotype", "predicted ms", "measured ms", "ratio"]
    show(str(target), columns, [(i, p, m, p / m) for i, (p, m) in enumerate(rows)])
    scores = agreement(rows)
    print(f"Spearman {scores['spearman']:.3f} (target: at least 0.9)")
    print(f"mean absolute error {scores['error_ms']:.4f} ms, {scores['error']:.1%} of the latency")
    print(f"with all predictions times {scores['factor']:.3f}: {scores['error_scaled']:.1%}")
    save("latency_prediction", {"settings": vars(args), **scores, "milliseconds": rows})


def predicted_and_measured(target, args) -> list[tuple[float, float]]:
    """Returns predicted and measured milliseconds of networks of random genotypes."""
    import numpy as np

    from darts_tf.costs.tables import CostTable, network_cost
    from darts_tf.export import profiling
    from darts_tf.export.tflite.measuring import invocation, milliseconds
    from darts_tf.spaces.derivation import derive

    random = np.random.default_rng(0)
    genotypes = [derive(*random.normal(size=(2, 14, 8))) for _ in range(args.genotypes)]
    times = collections.defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        paths = [pathlib.Path(folder) / f"{i}.tflite" for i in range(len(genotypes))]
        for genotype, path in zip(genotypes, paths, strict=True):
            profiling.write_network(target, genotype, path)
        costs, _ = profiling.profile(target, args.threads, args.seconds)
        calls = [invocation(path, args.threads) for path in paths]
        for _ in range(-(-args.runs // TURN)):
            for i, call in enumerate(calls):
                call()
                times[i] += milliseconds(call, TURN)
    table = CostTable("latency", costs, "the profile")
    predicted = [network_cost(table, target, genotype) / 1e6 for genotype in genotypes]
    measured = [float(np.median(times[i])) for i in range(len(genotypes))]
    return list(zip(predicted, measured, strict=True))


def agreement(rows: list[tuple[float, float]]) -> dict[str, float]:
    """Returns rank correlation and errors of pairs of predicted and measured milliseconds."""
    import numpy as np

    predicted, measured = np.array(rows).T
    ranks = [values.argsort().argsort() for values in (predicted, measured)]
    factor = float(predicted @ measured / (predicted @ predicted))
    return {
        "spearman": float(np.corrcoef(*ranks)[0, 1]),
        "error_ms": float(np.abs(predicted - measured).mean()),
        "error": float((np.abs(predicted - measured) / measured).mean()),
        "factor": factor,
        "error_scaled": float((np.abs(factor * predicted - measured) / measured).mean()),
    }


if __name__ == "__main__":
    main()
