"""The ImageNet-size network as TFLite: bytes, parts, time and parity of every kind of file.

    python benchmarks/tflite_latency.py --steps 320

DARTS_V2, 48 channels, 14 cells, 1000 classes, on the photos in ../shared/data/imagenet-sample.
With `--steps` it learns first to tell those photos from each other, which is no accuracy worth the
name but makes logits like a trained network's: without, rounding errors are all there is to see.
One image at a time, all models in turns; Keras and OpenVINO, where it is installed, beside them.
"""

from __future__ import annotations

import argparse
import collections
import importlib.util
import json
import pathlib
import tempfile
import time

SAMPLE = pathlib.Path(__file__).resolve().parents[2] / "shared" / "data" / "imagenet-sample"
THREADS = (1, 2)
TURN = 5
"""Calls of a model before it is the next one's turn."""


def main():
    """Converts here; Keras is measured in processes of its own, for their number of threads."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=0)
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--threads", type=int, help="of Keras alone, with --json")
    parser.add_argument("--json", action="store_true", help="measure Keras here; print JSON alone")
    args = parser.parse_args()
    from darts_tf.cli.startup import held_stderr, start_tensorflow

    start_tensorflow()
    if args.json:
        print(json.dumps(keras_times(args.threads, args.runs)))
        return
    from measuring import in_process_of_its_own, save, show

    with held_stderr(), tempfile.TemporaryDirectory() as folder:
        rows = written(pathlib.Path(folder), args.steps)
        for threads in THREADS:
            times = in_turns(calls(pathlib.Path(folder), threads), args.runs)
            settings = ("--threads", threads, "--runs", args.runs)
            times["Keras"] = in_process_of_its_own(pathlib.Path(__file__).name, *settings)
            for name, found in times.items():
                rows.setdefault(name, {})[f"threads_{threads}"] = found
    files = {name: row for name, row in rows.items() if "bytes" in row}
    columns = ["", "MB", "written in s", "parts", "ops left", "difference", "agreement", "SQNR dB"]
    show("ImageNet-size network", columns, [about(name, row) for name, row in files.items()])
    columns = ["ms an image", *(f"{q}, threads: {n}" for n in THREADS for q in ("p50", "p95"))]
    show("one image", columns, [(name, *times_of(row)) for name, row in rows.items()])
    ratio = [
        rows["tflite_int8"][f"threads_{n}"]["p50"] / rows["tflite"][f"threads_{n}"]["p50"]
        for n in THREADS
    ]
    print(f"full int8 takes {ratio[0]:.2f} and {ratio[1]:.2f} times float32's time")
    save("tflite_latency", {"settings": vars(args), "models": rows})


def about(name: str, row: dict) -> list:
    """What is to be said of a file."""
    left = sum(row["undelegated_ops"].values())
    parity = [row[key] for key in ("difference", "agreement", "sqnr")]
    return [name, row["bytes"] / 1e6, row["seconds"], row["delegate_partitions"], left, *parity]


def times_of(row: dict) -> list[float]:
    """Of a model, by threads."""
    return [row[f"threads_{n}"][q] for n in THREADS for q in ("p50", "p95")]


def network_and_photos():
    """With the statistics of the first 32 photos."""
    import keras
    import numpy as np

    from darts_tf import build_network
    from darts_tf.data import PUBLISHED_STATISTICS, Preprocessing
    from darts_tf.layers.normalization import BatchNormalization
    from darts_tf.spaces.zoo import GENOTYPES

    keras.utils.set_random_seed(0)
    preprocessing = Preprocessing(224, 224, 3, *PUBLISHED_STATISTICS["imagenet2012"], 256)
    photos = [preprocessing.decode(path.read_bytes()) for path in sorted(SAMPLE.glob("*.jpg"))]
    photos = np.stack(photos)
    network = build_network(GENOTYPES["DARTS_V2"], 48, 14, 1000, stem="imagenet", auxiliary=False)
    norms = [layer for layer in network._flatten_layers() if isinstance(layer, BatchNormalization)]
    momentum = norms[0].momentum
    for norm in norms:
        norm.momentum = 0.0
    network(preprocessing.normalize(photos[:32]), training=True)
    for norm in norms:
        norm.momentum = momentum
    return network, preprocessing, photos


def learn(network, preprocessing, photos, steps: int) -> None:
    """Every photo is a class of its own."""
    import keras
    import numpy as np
    import tensorflow as tf

    optimizer, weights = keras.optimizers.Adam(2e-3), network.trainable_variables
    optimizer.build(weights)

    @tf.function(autograph=False)
    def step(images, labels):
        with tf.GradientTape() as tape:
            logits = network(preprocessing.normalize(images), training=True)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
            loss = tf.reduce_mean(losses)
        gradients = tape.gradient(loss, weights)
        optimizer.apply_gradients(zip(gradients, weights, strict=True))

    draw = np.random.default_rng(0)
    for _ in range(steps):
        chosen = draw.choice(len(photos), 16, replace=False)
        step(tf.constant(photos[chosen]), tf.constant(chosen))


def written(folder: pathlib.Path, steps: int) -> dict[str, dict]:
    """Writes every TFLite file; what is to be said of each."""
    from darts_tf.export import parity
    from darts_tf.export.folding import fold_normalizations
    from darts_tf.export.formats import FORMATS
    from darts_tf.export.images import Examples, in_batches, keras_logits
    from darts_tf.export.tflite.measuring import describe

    network, preprocessing, photos = network_and_photos()
    learn(network, preprocessing, photos, steps)
    expected = in_batches(keras_logits(network, preprocessing), photos)
    fold_normalizations(network)
    examples = Examples(tuple(f"class {i}" for i in range(1000)), photos)
    rows = {}
    for name in (name for name in FORMATS if name.startswith("tflite")):
        path, begun = folder / f"{name}.tflite", time.perf_counter()
        FORMATS[name].write(network, preprocessing, path, examples)
        taken = time.perf_counter() - begun
        found = parity.compare(expected, in_batches(FORMATS[name].open_logits(path), photos))
        told = {"bytes": path.stat().st_size, "seconds": taken}
        rows[name] = {**told, **found._asdict(), **describe(path)}
    return rows


def calls(folder: pathlib.Path, threads: int) -> dict:
    """A function that runs a model once, for every file and runtime."""
    import numpy as np
    from darts_tf.export.tflite.measuring import invocation

    found = {path.stem: invocation(path, threads) for path in sorted(folder.glob("*.tflite"))}
    if importlib.util.find_spec("openvino"):
        import openvino

        settings = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32"}
        compiled = openvino.Core().compile_model(folder / "tflite.tflite", "CPU", settings)
        request = compiled.create_infer_request()
        request.set_input_tensor(openvino.Tensor(np.full((1, 224, 224, 3), 99, np.float32)))
        found["OpenVINO, tflite"] = request.infer
    return found


def in_turns(calls: dict, runs: int) -> dict[str, dict]:
    """Percentiles of milliseconds, of calls spread over the whole time."""
    from darts_tf.export.tflite.measuring import WARM_UP, milliseconds, percentiles

    times = collections.defaultdict(list)
    for call in calls.values():
        milliseconds(call, WARM_UP)
    for _ in range(-(-runs // TURN)):
        for name, call in calls.items():
            times[name] += milliseconds(call, TURN)
    return {name: percentiles(found) for name, found in times.items()}


def keras_times(threads: int, runs: int) -> dict[str, float]:
    """Of the network as a TensorFlow function."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    network, preprocessing, photos = network_and_photos()
    run = tf.function(lambda images: network(preprocessing.normalize(images), training=False))
    image = tf.constant(photos[:1])
    return in_turns({"Keras": lambda: run(image).numpy()}, runs)["Keras"]


if __name__ == "__main__":
    main()
