"""Shared parts of all benchmarks: environment, steps, memory, tables, and results as JSON."""

from __future__ import annotations

import argparse
import collections
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
from collections.abc import Callable, Hashable, Iterable, Mapping
from importlib import metadata

from rich.console import Console
from rich.table import Table

RESULTS = pathlib.Path(__file__).parent / "results"

PARTS = ("imports", "building", "tracing", "first run")
"""Parts of a start-up, in order."""


def environment() -> dict:
    """Returns versions, processor and load, which are needed to interpret results."""
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
    """Returns the number of processor cores that this process may use."""
    from darts_tf.runtime.execution import cores

    return cores()


def _processor() -> str:
    path = pathlib.Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def peak_gigabytes() -> float:
    """Returns the peak resident memory of this process so far, GB."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9


def seconds(function: Callable, *args, repeat: int = 7) -> float:
    """Returns the median time of a call, seconds, after a warm-up call."""
    function(*args)
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        function(*args)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def step_arguments(description: str, **sizes: int) -> argparse.ArgumentParser:
    """Returns a parser for a benchmark of steps: sizes with these defaults, and other options."""
    parser = argparse.ArgumentParser(description=description)
    for name, size in sizes.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=size)
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--steps", type=int, default=7)
    parser.add_argument(
        "--json", action="store_true", help="measure in this process; print only JSON"
    )
    return parser


def random_batch(batch_size: int, size: int, seed: int = 0):
    """Returns color images and labels of ten classes, and their types for any batch size."""
    import numpy as np
    import tensorflow as tf

    rng = np.random.default_rng(seed)
    x = tf.constant(rng.normal(size=(batch_size, size, size, 3)), tf.float32)
    y = tf.constant(rng.integers(0, 10, batch_size), tf.int32)
    return (x, y), tuple(tf.TensorSpec((None, *t.shape[1:]), t.dtype) for t in (x, y))


def take_batch_statistics(network, images) -> None:
    """Sets the statistics of all normalizations to those of a batch.

    Activations of a network with random weights then have the scale of a trained network's.

    Args:
        network: any Keras model.
        images: a batch of the network's input.
    """
    import keras

    from darts_tf.layers.normalization import BatchNormalization

    kinds = (BatchNormalization, keras.layers.BatchNormalization)
    norms = [layer for layer in network._flatten_layers() if isinstance(layer, kinds)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    network(images, training=True)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


def in_turns(
    calls: Mapping[Hashable, Callable[[], object]],
    runs: int,
    turn: int = 5,
    shares: Iterable[int] = (50, 95),
) -> dict[Hashable, dict[str, float]]:
    """Runs functions in turns, so that load on the machine affects all of them alike.

    Args:
        calls: functions by name.
        runs: least number of runs of each.
        turn: consecutive runs of a function before the next one is measured.
        shares: percentiles to return.

    Returns:
        The percentiles of each function's times, milliseconds, as `p50` and so on.
    """
    from darts_tf.export.tflite.measuring import WARM_UP, milliseconds, percentiles

    times = collections.defaultdict(list)
    for call in calls.values():
        milliseconds(call, WARM_UP)
    for _ in range(-(-runs // turn)):
        for name, call in calls.items():
            times[name] += milliseconds(call, turn)
    return {name: percentiles(each, shares) for name, each in times.items()}


def start_and_steps(step, inputs: tuple, marks: list[float], repeat: int) -> dict:
    """Measures the cost of a TensorFlow function with a fixed signature.

    Args:
        step: function that returns a scalar.
        inputs: arguments of its calls.
        marks: times when the process started, after imports, and after building.
        repeat: number of calls after the first.

    Returns:
        `step`, the median time of a call, seconds; `start`, the time from the start of the process
        to the end of the first call, and each of its `PARTS`; `steps`, all times; peak memory of
        the process and of tensors, GB; and the number of nodes of the graph.
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
            start = time.perf_counter()
            float(step(*inputs))
            times.append(time.perf_counter() - start)
    try:
        tensors = tf.config.experimental.get_memory_info("CPU:0")["peak"] / 1e9
    except ValueError:  # TensorFlow keeps these statistics only with oneDNN's allocator
        tensors = None
    parts = [end - start for start, end in itertools.pairwise(marks)]
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
    """Writes the results and the environment to `results/NAME.json`."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps({"environment": environment(), "results": results}, indent=2) + "\n")
    print(f"{path}\n")


def in_process_of_its_own(script: str, *arguments) -> dict:
    """Runs a benchmark with `--json` in a new process, for correct start-up time and memory."""
    path = pathlib.Path(__file__).parent / script
    command = [sys.executable, str(path), "--json", *map(str, arguments)]
    run = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(run.stdout.splitlines()[-1])


def each_estimator(script: str, args: argparse.Namespace) -> list[dict]:
    """Runs a benchmark once for each of `args.arch_gradient`, with the other settings of `args`."""
    others = {k: v for k, v in vars(args).items() if k not in ("arch_gradient", "json")}
    words = [w for name, value in others.items() for w in (f"--{name.replace('_', '-')}", value)]
    return [
        in_process_of_its_own(script, "--arch-gradient", name, *words)
        for name in args.arch_gradient
    ]
