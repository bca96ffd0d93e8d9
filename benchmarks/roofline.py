"""Efficiency of a search step: time over the machine's limit, per kind of operation.

    python benchmarks/roofline.py --arch-gradient first_order

The limit of an operation is the longer of two times: its arithmetic at the rate of a large matrix
product, and its bytes (every input and output once) at the rate of adding large arrays. Both rates
are of one core, since every operation runs on one. Measured times are from TensorFlow's profiler,
summed over the cores.
"""

from __future__ import annotations

import argparse
import collections
import math
import pathlib
import tempfile
import time

KINDS = {
    "MatMul": "1x1 convolutions",
    "BatchMatMulV2": "1x1 convolutions",
    "DepthwiseConv2dNative": "depthwise",
    "DepthwiseConv2dNativeBackpropInput": "depthwise, along the input",
    "DepthwiseConv2dNativeBackpropFilter": "depthwise, along the kernel",
    "FusedBatchNormV3": "normalization",
    "FusedBatchNormGradV3": "normalization, backward",
}
MOVES = {"Mul", "AddV2", "Sub", "AddN", "Relu", "ReluGrad", "ConcatV2", "Split", "SplitV", "Slice"}
MOVES |= {"StridedSlice", "Pad", "MirrorPad", "MirrorPadGrad", "SpaceToBatchND", "BatchToSpaceND"}
MOVES |= {"Sum", "AvgPool", "AvgPoolGrad", "MaxPool", "MaxPoolGrad", "MaxPoolGradGrad", "Mean"}
MOVES |= {"BiasAddGrad", "Conv2D", "Conv2DBackpropInput", "Conv2DBackpropFilter", "Transpose"}
REST = "elementwise, pools, copies, convolutions"


def kind_of(name: str) -> str | None:
    """Returns the row of an operation's type, original or rewritten by oneDNN; None for others."""
    plain = name.removeprefix("_Mkl").removeprefix("Native")
    return KINDS.get(plain, REST if plain in MOVES else None)


def flops(op) -> float:
    """Returns the number of additions and multiplications of one operation."""
    sizes = [math.prod(t.shape) for t in op.inputs if t.shape.is_fully_defined()]
    out = math.prod(op.outputs[0].shape)
    if op.type == "MatMul":
        rows, columns = op.inputs[0].shape
        return 2 * out * (rows if op.get_attr("transpose_a") else columns)
    if op.type == "BatchMatMulV2":
        return 2 * out * op.inputs[0].shape[-2 if op.get_attr("adj_x") else -1]
    if op.type == "DepthwiseConv2dNative":
        return 2 * out * math.prod(op.inputs[1].shape[:2])
    if op.type == "DepthwiseConv2dNativeBackpropInput":
        return 2 * math.prod(op.inputs[2].shape) * math.prod(op.inputs[1].shape[:2])
    if op.type == "DepthwiseConv2dNativeBackpropFilter":
        return 2 * math.prod(op.inputs[2].shape) * math.prod(op.outputs[0].shape[:2])
    if op.type == "Conv2D":
        return 2 * out * math.prod(op.inputs[1].shape[:3])
    if op.type.startswith("Conv2DBackprop"):
        kernel = op.inputs[1] if op.type.endswith("Input") else op.outputs[0]
        return 2 * math.prod(op.inputs[2].shape) * math.prod(kernel.shape[:3])
    return 8.0 * max(sizes, default=0) if "BatchNorm" in op.type else float(out)


def live(graph, roots):
    """Returns the operations that the roots depend on."""
    operations, waiting = set(), [t.op for t in roots]
    while waiting:
        op = waiting.pop()
        if op not in operations:
            operations.add(op)
            waiting += [t.op for t in op.inputs] + list(op.control_inputs)
    return operations


def costs_of(tf, step_graph, functions) -> dict:
    """Returns count, FLOP and bytes by kind; functions count as often as they are called."""
    calls = collections.Counter(
        op.get_attr("f").name for op in step_graph.get_operations() if op.type == "PartitionedCall"
    )
    graphs = [(1, set(step_graph.get_operations()))]
    graphs += [(calls[tf.compat.as_str(f.name)], live(f.graph, f.graph.outputs)) for f in functions]
    totals = collections.defaultdict(lambda: [0, 0.0, 0.0])
    for times, operations in graphs:
        for op in operations:
            kind = kind_of(op.type)
            tensors = [t for t in (*op.inputs, *op.outputs) if t.shape.is_fully_defined()]
            if kind and times and op.outputs[0].shape.is_fully_defined():
                moved = 4 * sum(math.prod(t.shape) for t in tensors)
                for i, amount in enumerate((1, flops(op), moved)):
                    totals[kind][i] += times * amount
    return totals


def rates(tf) -> tuple[float, float]:
    """Returns FLOP/s of a matrix product and bytes/s of an addition, on one core."""
    from measuring import seconds

    a = tf.random.normal((1536, 1536))
    big = tf.random.normal((64 * 2**20 // 4,))
    product, add = (tf.function(f) for f in (tf.matmul, tf.add))
    flop_rate = 2 * 1536**3 / seconds(lambda: product(a, a).numpy)
    return flop_rate, 3 * 64 * 2**20 / seconds(lambda: add(big, big).numpy)


def measure(tf, step) -> dict:
    """Returns seconds of each kind in one step, summed over the cores."""
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    with tempfile.TemporaryDirectory() as folder:
        tf.profiler.experimental.start(folder)
        step()
        tf.profiler.experimental.stop()
        (path,) = pathlib.Path(folder).rglob("*.xplane.pb")
        space = xplane_pb2.XSpace.FromString(path.read_bytes())
    times = collections.Counter()
    for plane in space.planes:
        names = {i: m.name.rpartition(":")[2] for i, m in plane.event_metadata.items()}
        for line in plane.lines if "host:CPU" in plane.name else ():
            for event in line.events:
                kind = kind_of(names[event.metadata_id])
                times[kind] += event.duration_ps / 1e12 if kind else 0
    return times


def main():
    """Counts operations, measures a step and prints the comparison."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--arch-gradient", default="first_order")
    parser.add_argument("--cells", type=int, default=8)
    parser.add_argument("--channels", type=int, default=16)
    parser.add_argument("--batch-size", type=int, default=16)
    args = parser.parse_args()
    from darts_tf.cli.startup import start_tensorflow

    start_tensorflow()
    import tensorflow as tf
    from measuring import cores, random_batch, save, show

    from darts_tf.configs import SearchConfig
    from darts_tf.runtime.execution import graph_optimizer_off
    from darts_tf.search.images import build_trainer

    config = SearchConfig(workdir="unused", **vars(args))
    trainer = build_trainer(config, classes=10, image_channels=3)
    data = (random_batch(args.batch_size, size=32)[0],) * 2
    step = tf.function(lambda: trainer.train_step(data)["loss"], autograph=False)
    with graph_optimizer_off():
        graph = step.get_concrete_function().graph
        float(step())
        times = measure(tf, lambda: float(step()))
        start = time.perf_counter()
        float(step())
        elapsed = time.perf_counter() - start
    functions = trainer.network.cells[0].shared.functions()
    flop_rate, byte_rate = rates(tf)
    rows = []
    for kind, (count, arithmetic, moved) in costs_of(tf, graph, functions).items():
        limit = max(arithmetic / flop_rate, moved / byte_rate)
        bound = "arithmetic" if arithmetic / flop_rate > moved / byte_rate else "memory"
        rows.append([kind, count, arithmetic / 1e9, moved / 1e9, bound, limit, times[kind]])
        rows[-1].append(f"{limit / times[kind]:.0%}" if times[kind] else "-")
    rows.sort(key=lambda row: -row[6])
    total = [sum(row[i] for row in rows) for i in (1, 2, 3, 5, 6)]
    rows.append(["all", *total[:3], "", *total[3:], f"{total[3] / total[4]:.0%}"])
    columns = ("kind", "count", "GFLOP", "GB", "bound by", "limit s", "measured s", "of the limit")
    show(f"a {args.arch_gradient} step of {elapsed:.2f} s on {cores()} cores", columns, rows)
    machine = {"gflops_of_a_core": flop_rate / 1e9, "gigabytes_a_second_of_a_core": byte_rate / 1e9}
    show("one core", machine, [machine.values()])
    save(f"roofline_{args.arch_gradient}", {"machine": machine, "step": elapsed, "rows": rows})


if __name__ == "__main__":
    main()
