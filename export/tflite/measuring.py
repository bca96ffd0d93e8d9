"""What a TFLite file is made of, how much of it XNNPACK runs, and how long it takes."""

from __future__ import annotations

import collections
import os
import time
from collections.abc import Callable, Sequence

import numpy as np
from ai_edge_litert.interpreter import Interpreter

THREADS = (1, 2)
WARM_UP = 5
RUNS = 50
DELEGATE = "DELEGATE"
"""What the interpreter calls a part of the graph that it has handed over."""


def describe(path: str | os.PathLike[str]) -> dict:
    """What the report says of a file.

    Args:
        path: of a TFLite file with one graph.

    Returns:
        `ops`, how many of each kind there are; `delegate_partitions`, in how many parts XNNPACK
        runs them; `undelegated_ops`, those that it leaves; and `latency_ms`, of one image or word
        by the number of threads: `p50` and `p95`, milliseconds.
    """
    ops, executed = operations(path)
    partitions = executed.pop(DELEGATE, 0)
    return {
        "ops": dict(sorted(ops.items())),
        "delegate_partitions": partitions,
        "undelegated_ops": dict(sorted(executed.items())),
        "latency_ms": {str(threads): latency(path, threads) for threads in THREADS},
    }


def operations(path: str | os.PathLike[str]) -> tuple[collections.Counter, collections.Counter]:
    """Counts the kinds of operations of a file, and of those that the interpreter runs.

    Among the latter a part that is handed over counts as one, `DELEGATE`.
    """
    interpreter = Interpreter(model_path=os.fspath(path))
    interpreter.allocate_tensors()
    # The interpreter lists all nodes, those it has handed over too, and does not say which it runs:
    # they are those that an output needs, the delegate's before those that it stands for.
    nodes = interpreter._get_ops_details()
    nodes.sort(key=lambda node: node["op_name"] == DELEGATE)
    makers = {int(output): node for node in nodes for output in node["outputs"]}
    wanted = [output["index"] for output in interpreter.get_output_details()]
    run = {}
    while wanted:
        node = makers.get(wanted.pop())  # None: a constant or an input
        if node and node["index"] not in run:
            run[node["index"]] = node["op_name"]
            wanted += map(int, node["inputs"])
    ops = collections.Counter(node["op_name"] for node in nodes if node["op_name"] != DELEGATE)
    return ops, collections.Counter(run.values())


def latency(path: str | os.PathLike[str], threads: int, runs: int = RUNS) -> dict[str, float]:
    """Milliseconds that one image or word takes, the median and the 95th percentile."""
    call = invocation(path, threads)
    milliseconds(call, WARM_UP)
    return percentiles(milliseconds(call, runs))


def invocation(path: str | os.PathLike[str], threads: int) -> Callable[[], None]:
    """A function that runs a file once, on noise, and on the first word where it reads words."""
    interpreter = Interpreter(model_path=os.fspath(path), num_threads=threads)
    interpreter.allocate_tensors()
    draw = np.random.default_rng(0)
    for given in interpreter.get_input_details():
        noise = draw.integers(0, 256, given["shape"])
        value = np.zeros_like(noise) if given["dtype"] == np.int32 else noise
        interpreter.set_tensor(given["index"], value.astype(given["dtype"]))
    return interpreter.invoke


def milliseconds(call: Callable[[], object], runs: int) -> list[float]:
    """What each of some calls takes."""
    times = []
    for _ in range(runs):
        begun = time.perf_counter()
        call()
        times.append(1e3 * (time.perf_counter() - begun))
    return times


def percentiles(times: Sequence[float]) -> dict[str, float]:
    """`p50` and `p95`."""
    return {f"p{share}": float(np.percentile(times, share)) for share in (50, 95)}
