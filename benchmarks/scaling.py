"""Growth of a search step's time and memory with cells, channels, batch size and image size.

    python benchmarks/scaling.py --arch-gradient first_order

Each axis doubles from a small network while the others are constant. The exponent is the slope of a
line through the logarithms. Memory is that of tensors only.
"""

from __future__ import annotations

import argparse

import numpy as np
from measuring import in_process_of_its_own, save, show

BASE = {"cells": 5, "channels": 8, "batch-size": 16, "image-size": 16}
AXES = {
    "cells": (5, 10, 20),
    "channels": (8, 16, 32),
    "batch-size": (16, 32, 64),
    "image-size": (16, 32, 64),
}


def main():
    """Measures every point in a separate process, and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--arch-gradient", default="first_order")
    parser.add_argument("--axes", nargs="+", choices=AXES, default=list(AXES))
    args = parser.parse_args()
    results, known = [], {}
    for axis in args.axes:
        for value in AXES[axis]:
            point = {**BASE, axis: value}
            key = tuple(point.values())
            if key not in known:
                flags = [word for name, v in point.items() for word in (f"--{name}", v)]
                flags += ["--arch-gradient", args.arch_gradient, "--steps", 4]
                known[key] = in_process_of_its_own("search_step.py", *flags)
            results.append({"axis": axis, "value": value, **known[key]})
    rows = []
    for axis in args.axes:
        points = [r for r in results if r["axis"] == axis]
        sizes = np.log([p["value"] for p in points])
        columns = [[p[name] for p in points] for name in ("step", "tensors_gb", "start")]
        slopes = [np.polyfit(sizes, np.log(column), 1)[0] for column in columns]
        shown = [" ".join(f"{v:.3g}" for v in column) for column in columns]
        values = " ".join(str(p["value"]) for p in points)
        rows.append([axis, values, shown[0], f"{slopes[0]:.2f}", shown[1], f"{slopes[1]:.2f}"])
        rows[-1] += [shown[2], f"{slopes[2]:.2f}"]
    columns = ("axis", "values", "step s", "exponent", "tensors GB", "exponent", "start s", "exp.")
    show(f"growth of a step, {args.arch_gradient}", columns, rows)
    save("scaling", results)


if __name__ == "__main__":
    main()
