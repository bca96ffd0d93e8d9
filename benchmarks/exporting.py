"""Cost of an export: time of each step, size of the models, and time to load a SavedModel.

python benchmarks/exporting.py
"""

from __future__ import annotations

import argparse
import itertools
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import measuring

LOADING = """
import json, sys, time
sys.modules.update(dict.fromkeys(("keras", "darts_tf", "export")))  # importing one of them raises
import tensorflow as tf
start = time.perf_counter()
serve = tf.saved_model.load(sys.argv[1]).signatures["serving_default"]
loaded = time.perf_counter()
images = tf.zeros([1, *serve.structured_input_signature[1]["images"].shape[1:]])
serve(images=images)
answered = time.perf_counter()
print(json.dumps({"load": loaded - start, "first answer": answered - loaded}))
"""


def arguments():
    """Parses the command line; the defaults are the paper's network for ImageNet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    sizes = {"channels": 48, "cells": 14, "classes": 1000, "image_size": 224, "images": 16}
    for name, size in sizes.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=size)
    parser.add_argument("--genotype", default="DARTS_V2")
    parser.add_argument("--stem", default="imagenet")
    parser.add_argument("--repeat", type=int, default=5, help="processes that load the SavedModel")
    return parser.parse_args()


def time_export(args, output: pathlib.Path) -> tuple[dict, dict]:
    """Exports a network; returns the seconds of every step by its message, and the report."""
    from darts_tf.cli.startup import start_tensorflow

    start_tensorflow()
    import numpy as np

    from darts_tf import export
    from darts_tf.data import Preprocessing
    from darts_tf.models.network import build_network
    from darts_tf.spaces.zoo import load_genotype

    sizes = {name: getattr(args, name) for name in ("channels", "cells", "classes", "stem")}
    network = build_network(load_genotype(args.genotype), auxiliary=False, **sizes)
    side = args.image_size
    preprocessing = Preprocessing(side, side, 3, (0.5,) * 3, (0.25,) * 3)
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (args.images, side, side, 3), np.uint8)
    classes = [f"class {i}" for i in range(args.classes)]
    marks = []
    report = export.export(
        network,
        preprocessing,
        classes,
        output,
        images=images,
        calibration=images,
        report=lambda line: marks.append((line, time.perf_counter())),
    )
    marks.append(("", time.perf_counter()))
    steps = {line: end - start for (line, start), (_, end) in itertools.pairwise(marks)}
    return {**steps, "all": marks[-1][1] - marks[0][1]}, report


def time_loading(path: pathlib.Path, repeat: int) -> dict[str, float]:
    """Returns median seconds to load a SavedModel and to its first answer, in new processes."""
    command = [sys.executable, "-c", LOADING, str(path)]
    runs = (subprocess.run(command, check=True, capture_output=True, text=True, cwd=path)
            for _ in range(repeat))  # fmt: skip
    times = [json.loads(run.stdout.splitlines()[-1]) for run in runs]
    return {name: statistics.median(each[name] for each in times) for name in times[0]}


def main():
    """Measures, prints tables and writes them as JSON."""
    args = arguments()
    with tempfile.TemporaryDirectory() as folder:
        output = pathlib.Path(folder) / "out"
        steps, report = time_export(args, output)
        times = time_loading(output / report["formats"]["saved_model"]["path"], args.repeat)
    sizes = {model["path"]: model["bytes"] for model in report["formats"].values()}
    bound = 1.1 * 4 * report["parameters"] + 1e6
    title = f"{args.genotype}, {report['parameters']:,} parameters: seconds"
    measuring.show(title, ("step", "seconds"), steps.items())
    measuring.show("sizes", ("file", "bytes"), [(path, f"{n:,}") for path, n in sizes.items()])
    measuring.show(
        "SavedModel, without Keras",
        ("", "measured", "at most"),
        [
            ("MB", sizes[report["formats"]["saved_model"]["path"]] / 1e6, bound / 1e6),
            ("load, seconds", times["load"], 1.5),
            ("first answer, seconds", times["first answer"], ""),
        ],
    )
    results = {"steps": steps, "sizes": sizes, **times, "parameters": report["parameters"]}
    measuring.save("exporting", {"settings": vars(args), **results})


if __name__ == "__main__":
    main()
