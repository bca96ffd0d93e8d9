"""What all benchmarks share: the machine, steps, memory, tables, and results as JSON."""

from __future__ import annotations

import argparse
import itertools
import json
import os
import pathlib
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from importlib import metadata

from rich.console import Console
from rich.table import Table

RESULTS = pathlib.Path(__file__).parent / "results"

PARTS = ("imports", "building", "tracing", "first run")
"""Of a start, in their order."""


def environment() -> dict:
    """Versions, processor and load: what a number cannot be read without."""
    packages = ("darts-tf", "tensorflow", "keras", "numpy")
    return {
        **{name: metadata.version(name) for name in packages},
        "python": platform.python_version(),
        "processor": _processor(),
        "cores": cores(),
        "load_average": os.getloadavg(),
        "time": time.strftime("%Y-%m-%d %H:%M:%S"),
        "command": " ".join(["python", *sys.argv]),
    }


def cores() -> int:
    """Processor cores that this process may use."""
    from darts_tf.runtime.execution import cores

    return cores()


def _processor() -> str:
    path = pathlib.Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def peak_gigabytes() -> float:
    """The most memory that this process has held so far."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9


def seconds(function: Callable, *args, repeat: int = 7) -> float:
    """Median time of a call, after one that does not count."""
    function(*args)
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        function(*args)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def step_arguments(description: str, **sizes: int) -> argparse.ArgumentParser:
    """The command line of a benchmark of steps: sizes with these defaults, and how it runs."""
    parser = argparse.ArgumentParser(description=description)
    for name, size in sizes.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=size)
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--steps", type=int, default=7)
    parser.add_argument("--json", action="store_true", help="measure here; print JSON alone")
    return parser


def random_batch(batch_size: int, size: int, seed: int = 0):
    """Colour images and labels of ten classes, and their types with any number of images."""
    import numpy as np
    import tensorflow as tf

    rng = np.random.default_rng(seed)
    x = tf.constant(rng.normal(size=(batch_size, size, size, 3)), tf.float32)
    y = tf.constant(rng.integers(0, 10, batch_size), tf.int32)
    return (x, y), tuple(tf.TensorSpec((None, *t.shape[1:]), t.dtype) for t in (x, y))


def start_and_steps(step, inputs: tuple, marks: list[float], repeat: int) -> dict:
    """What a TensorFlow function of fixed signature costs.

    Args:
        step: gives a scalar.
        inputs: to call it with.
        marks: when the process began, when all was imported, and when all was built.
        repeat: calls after the first.

    Returns:
        `step`, the median time of a call; `start`, that from the process's beginning to the end of
        the first, and each of its `PARTS`; `steps`, all times; memory, of the process and of
        tensors; and the nodes of the graph.
    """
    import tensorflow as tf

    from darts_tf.runtime.execution import graph_optimizer_off

    times = []
    with graph_optimizer_off():
        nodes = len(step.get_concrete_function().graph.get_operations())
        marks = [*marks, time.perf_counter()]
        float(step(*inputs))
        marks.append(time.perf_counter())
        for _ in range(repeat):
            begun = time.perf_counter()
            float(step(*inputs))
            times.append(time.perf_counter() - begun)
    try:
        tensors = tf.config.experimental.get_memory_info("CPU:0")["peak"] / 1e9
    except ValueError:  # only where oneDNN allocates
        tensors = None
    parts = [end - begun for begun, end in itertools.pairwise(marks)]
    return {
        "step": statistics.median(times),
        "start": marks[-1] - marks[0],
        **dict(zip(PARTS, parts, strict=True)),
        "peak_gb": peak_gigabytes(),
        "tensors_gb": tensors,
        "nodes": nodes,
        "steps": times,
    }


def show(title: str, columns: Iterable[str], rows: Iterable[Iterable]) -> None:
    """Prints a table."""
    columns, rows = list(columns), list(rows)
    table = Table(title=title, title_justify="left")
    for i, column in enumerate(columns):
        table.add_column(column, justify="right" if i else "left")
    for row in rows:
        table.add_row(*(f"{cell:,.3g}" if isinstance(cell, float) else str(cell) for cell in row))
    Console(width=110).print(table)


def save(name: str, results) -> None:
    """Writes `results/NAME.json`, the machine beside the results."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps({"environment": environment(), "results": results}, indent=2) + "\n")
    print(f"{path}\n")


def in_process_of_its_own(script: str, *arguments) -> dict:
    """Runs a benchmark with `--json`, so that start and memory are its own."""
    path = pathlib.Path(__file__).parent / script
    command = [sys.executable, str(path), "--json", *map(str, arguments)]
    run = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(run.stdout.splitlines()[-1])


def each_estimator(script: str, args: argparse.Namespace) -> list[dict]:
    """Runs a benchmark once for each of `args.arch_gradient`, with the other settings as given."""
    kept = {k: v for k, v in vars(args).items() if k not in ("arch_gradient", "json")}
    words = [w for name, value in kept.items() for w in (f"--{name.replace('_', '-')}", value)]
    return [
        in_process_of_its_own(script, "--arch-gradient", name, *words)
        for name in args.arch_gradient
    ]
