"""Baselines on the table of NAS-Bench-201: accuracy of the cells that they choose, by budget.

    python benchmarks/table_baselines.py
    python benchmarks/table_baselines.py --methods random evolution --on each --budgets trials=500

Searches on one data set, or on each for itself, by the validation accuracy of one training per
cell, and looks the chosen cell up: mean and standard deviation over seeds of its mean accuracy.
Needs the extra `nasbench`.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from measuring import save, show

from darts_tf.configs.budgets import parsed_allowance
from darts_tf.spaces.truth import DATASETS, NAS_BENCH_201, load_truth
from darts_tf.studies.table_baselines import METHODS, accuracies, chosen_cells

BUDGETS = ("time=12000s", "time=50000s", "time=200000s")
"""Budgets of about 6, 27 and 110 cells of CIFAR-10. A Gaussian process over five times as many
takes seconds per seed."""

EACH = "each"
"""Value of `--on`: a search of its own for every data set."""


def main():
    """Runs the baselines, prints a table and writes it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--methods", nargs="+", default=[*METHODS], choices=METHODS)
    parser.add_argument("--budgets", nargs="+", default=BUDGETS, help="of one unit")
    parser.add_argument("--on", default="cifar10", choices=[*DATASETS, EACH])
    parser.add_argument("--seeds", type=int, default=100)
    args = parser.parse_args()
    truth = load_truth(NAS_BENCH_201)
    allowances = [parsed_allowance(text) for text in args.budgets]
    rows, results = [], []
    for method in args.methods:
        start = time.perf_counter()
        chosen = {
            name: chosen_cells(method, truth[name], allowances, range(args.seeds))
            for name in (DATASETS if args.on == EACH else [args.on])
        }
        print(f"{method}: {args.seeds} seeds in {time.perf_counter() - start:.1f} s")
        for place, budget in enumerate(args.budgets):
            cells = {name: chosen.get(name, chosen.get(args.on))[place] for name in truth}
            reached = {name: accuracies(truth, cells[name])[name] for name in truth}
            ranks = {name: float(np.median(truth[name].ranks[cells[name]])) for name in truth}
            results.append(
                {"method": method, "budget": budget, "accuracy": reached, "median_rank": ranks}
            )
            written = [f"{mean:.2f} ± {deviation:.2f}" for mean, deviation in reached.values()]
            ranks_in_words = ", ".join(f"{rank:,.0f}" for rank in ranks.values())
            rows.append([method, budget.partition("=")[2], *written, ranks_in_words])
    columns = ["method", "budget", *DATASETS.values(), "median ranks"]
    show(f"Searched on {args.on}; accuracy in percent", columns, rows)
    save("table_baselines", {"on": args.on, "seeds": args.seeds, "rows": results})


if __name__ == "__main__":
    main()
