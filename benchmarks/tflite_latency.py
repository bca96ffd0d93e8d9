"""Size, delegated parts, latency and parity of every TFLite format of the ImageNet-size network.

    python benchmarks/tflite_latency.py --steps 320

The network is DARTS_V2 with 48 channels, 14 cells and 1000 classes, and the images are the photos
in ../shared/data/imagenet-sample. With `--steps` the network is first trained to tell those photos
apart, which makes its logits similar to those of a trained network; otherwise rounding errors
dominate the comparison. Models run one image at a time and in turns. Keras and, if installed,
OpenVINO are measured too.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import pathlib
import tempfile
import time

SAMPLE = pathlib.Path(__file__).resolve().parents[2] / "shared" / "data" / "imagenet-sample"
THREADS = (1, 2)


def main():
    """Converts and measures; Keras runs in separate processes with their own number of threads."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=0)
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--threads", type=int, help="threads of Keras, only with --json")
    parser.add_argument("--json", action="store_true", help="measure only Keras; print only JSON")
    args = parser.parse_args()
    from darts_tf.cli.startup import held_stderr, start_tensorflow

    start_tensorflow()
    if args.json:
        print(json.dumps(keras_times(args.threads, args.runs)))
        return
    from measuring import in_process_of_its_own, in_turns, save, show

    with held_stderr(), tempfile.TemporaryDirectory() as folder:
        rows = write_files(pathlib.Path(folder), args.steps)
        for threads in THREADS:
            times = in_turns(calls(pathlib.Path(folder), threads), args.runs)
            settings = ("--threads", threads, "--runs", args.runs)
            times["Keras"] = in_process_of_its_own(pathlib.Path(__file__).name, *settings)
            for name, quantiles in times.items():
                rows.setdefault(name, {})[f"threads_{threads}"] = quantiles
    files = {name: row for name, row in rows.items() if "bytes" in row}
    columns = ["", "MB", "written in s", "parts", "ops left", "difference", "agreement", "SQNR dB"]
    show("ImageNet-size network", columns, [file_row(name, row) for name, row in files.items()])
    columns = ["ms per image", *(f"{q}, threads: {n}" for n in THREADS for q in ("p50", "p95"))]
    show("one image", columns, [(name, *times_of(row)) for name, row in rows.items()])
    ratio = [
        rows["tflite_int8"][f"threads_{n}"]["p50"] / rows["tflite"][f"threads_{n}"]["p50"]
        for n in THREADS
    ]
    print(f"full int8 takes {ratio[0]:.2f} and {ratio[1]:.2f} times float32's time")
    save("tflite_latency", {"settings": vars(args), "models": rows})


def file_row(name: str, row: dict) -> list:
    """Returns a file's row of the table."""
    left = sum(row["undelegated_ops"].values())
    parity = [row[key] for key in ("difference", "agreement", "sqnr")]
    return [name, row["bytes"] / 1e6, row["seconds"], row["delegate_partitions"], left, *parity]


def times_of(row: dict) -> list[float]:
    """Returns median and 95th percentile of a model's latency for each number of threads, ms."""
    return [row[f"threads_{n}"][q] for n in THREADS for q in ("p50", "p95")]


def network_and_photos():
    """Returns a network with batch statistics of the first 32 photos, preprocessing and photos."""
    import keras
    import numpy as np
    from measuring import take_batch_statistics

    from darts_tf import build_network
    from darts_tf.data import PUBLISHED_STATISTICS, Preprocessing
    from darts_tf.spaces.zoo import GENOTYPES

    keras.utils.set_random_seed(0)
    preprocessing = Preprocessing(224, 224, 3, *PUBLISHED_STATISTICS["imagenet2012"], 256)
    photos = [preprocessing.decode(path.read_bytes()) for path in sorted(SAMPLE.glob("*.jpg"))]
    photos = np.stack(photos)
    network = build_network(GENOTYPES["DARTS_V2"], 48, 14, 1000, stem="imagenet", auxiliary=False)
    take_batch_statistics(network, preprocessing.normalize(photos[:32]))
    return network, preprocessing, photos


def learn(network, preprocessing, photos, steps: int) -> None:
    """Trains the network with every photo as a separate class."""
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


def write_files(folder: pathlib.Path, steps: int) -> dict[str, dict]:
    """Writes every TFLite file; returns size, time, parity and operations of each."""
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
        path, start = folder / f"{name}.tflite", time.perf_counter()
        FORMATS[name].write(network, preprocessing, path, examples)
        seconds = time.perf_counter() - start
        difference = parity.compare(expected, in_batches(FORMATS[name].open_logits(path), photos))
        file = {"bytes": path.stat().st_size, "seconds": seconds}
        rows[name] = {**file, **difference._asdict(), **describe(path)}
    return rows


def calls(folder: pathlib.Path, threads: int) -> dict:
    """Returns functions that run a model once, for every file and runtime."""
    import numpy as np

    from darts_tf.export.tflite.measuring import invocation

    functions = {path.stem: invocation(path, threads) for path in sorted(folder.glob("*.tflite"))}
    if importlib.util.find_spec("openvino"):
        import openvino

        settings = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32"}
        compiled = openvino.Core().compile_model(folder / "tflite.tflite", "CPU", settings)
        request = compiled.create_infer_request()
        request.set_input_tensor(openvino.Tensor(np.full((1, 224, 224, 3), 99, np.float32)))
        functions["OpenVINO, tflite"] = request.infer
    return functions


def keras_times(threads: int, runs: int) -> dict[str, float]:
    """Returns latency percentiles of the network as a TensorFlow function, milliseconds."""
    import tensorflow as tf
    from measuring import in_turns

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    network, preprocessing, photos = network_and_photos()
    run = tf.function(lambda images: network(preprocessing.normalize(images), training=False))
    image = tf.constant(photos[:1])
    return in_turns({"Keras": lambda: run(image).numpy()}, runs)["Keras"]


if __name__ == "__main__":
    main()
