"""Operations of a TFLite file, the part of them that XNNPACK runs, and the file's latency."""

from __future__ import annotations

import collections
import os
import time
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from ai_edge_litert.interpreter import Interpreter

THREADS = (1, 2)
WARM_UP = 5
RUNS = 50
DELEGATE = "DELEGATE"
"""Name of the interpreter's operation for a part of the graph that XNNPACK runs."""


def describe(path: str | os.PathLike[str]) -> dict:
    """Returns the report's entries about a file.

    Args:
        path: a TFLite file with one graph.

    Returns:
        `ops`, number of operations of each kind; `delegate_partitions`, number of parts that
        XNNPACK runs; `undelegated_ops`, operations that it does not run; and `latency_ms`, the
        latency of one image or word by number of threads: `p50` and `p95`, milliseconds.
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
    """Counts by kind the operations of a file, and those that the interpreter runs.

    Among the latter, each part that XNNPACK runs counts as one operation, `DELEGATE`.
    """
    interpreter = Interpreter(model_path=os.fspath(path))
    interpreter.allocate_tensors()
    # The interpreter lists all nodes, including delegated ones, and does not state which it runs.
    # It runs those that an output depends on; delegates take precedence over what they replace.
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
    """Returns the latency of one image or word, milliseconds: median and 95th percentile."""
    call = invocation(path, threads)
    milliseconds(call, WARM_UP)
    return percentiles(milliseconds(call, runs))


def invocation(path: str | os.PathLike[str], threads: int) -> Callable[[], None]:
    """Returns a function that runs a file once, on noise, or on token 0 for language models."""
    interpreter = Interpreter(model_path=os.fspath(path), num_threads=threads)
    interpreter.allocate_tensors()
    draw = np.random.default_rng(0)
    for tensor in interpreter.get_input_details():
        noise = draw.integers(0, 256, tensor["shape"])
        value = np.zeros_like(noise) if tensor["dtype"] == np.int32 else noise
        interpreter.set_tensor(tensor["index"], value.astype(tensor["dtype"]))
    return interpreter.invoke


def milliseconds(call: Callable[[], object], runs: int) -> list[float]:
    """Calls a function `runs` times and returns the duration of each call, milliseconds."""
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        call()
        times.append(1e3 * (time.perf_counter() - start))
    return times


def percentiles(times: Sequence[float], shares: Iterable[int] = (50, 95)) -> dict[str, float]:
    """Returns percentiles: by default the median and the 95th, as `p50` and `p95`."""
    return {f"p{share}": float(np.percentile(times, share)) for share in shares}
