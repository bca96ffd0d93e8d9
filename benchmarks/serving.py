"""Requests per second of the embedded server over gRPC and REST, and of the SavedModel in process.

python benchmarks/serving.py --model runs/export --image photo.jpg

A request is one image file for the signature `predict_bytes`. The clients are threads of another
process on the same machine and use some of its processor time.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import pathlib
import re
import statistics
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from measuring import save, show

CONCURRENCY = (1, 8, 32)


def main():
    """Measures every protocol and concurrency for `--seconds`, and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True, type=pathlib.Path)
    parser.add_argument("--image", required=True, type=pathlib.Path)
    parser.add_argument("--seconds", type=float, default=5.0)
    arguments = parser.parse_args()
    content = arguments.image.read_bytes()
    rows = in_process(arguments.model, content, arguments.seconds)
    with served(arguments.model) as (process, urls):
        for way, url in urls.items():
            for clients in CONCURRENCY:
                ask = client_of(url, arguments.model)
                rows.append(measure(way, clients, ask, content, arguments.seconds))
        memory = resident_gigabytes(process.pid)
    title = f"predict_bytes, {len(content):,} bytes per image"
    columns = ("way", "at once", "requests/s", "p50 ms", "p99 ms")
    show(title, columns, (tuple(row[name] for name in columns) for row in rows))
    print(f"the server's memory: {memory:.2f} GB")
    save("serving", {"rows": rows, "image_bytes": len(content), "server_gb": memory})


def measure(way: str, clients: int, ask, content: bytes, seconds: float) -> dict:
    """Measures clients that send requests without pause; returns a row."""
    latencies, over = [], threading.Event()
    ask(content)  # connects; the first request of all also optimizes the graph

    def client(_):
        while not over.is_set():
            start = time.perf_counter()
            ask(content)
            latencies.append(time.perf_counter() - start)

    with ThreadPoolExecutor(clients) as threads:
        running = [threads.submit(client, i) for i in range(clients)]
        try:
            time.sleep(seconds)
        finally:
            over.set()
    for each in running:
        each.result()
    return row_of(way, clients, latencies, seconds)


def row_of(way: str, clients: int, latencies: list[float], seconds: float) -> dict:
    """Returns a row with rate and latency percentiles of a run."""
    ordered = sorted(latencies)
    return {
        **{"way": way, "at once": clients, "requests/s": len(ordered) / seconds},
        "p50 ms": 1e3 * statistics.median(ordered),
        "p99 ms": 1e3 * ordered[len(ordered) * 99 // 100],
    }


def in_process(model: pathlib.Path, content: bytes, seconds: float) -> list[dict]:
    """Measures the SavedModel in this process, with batches of images; a request is one image."""
    import tensorflow as tf

    from darts_tf.export.serving import folders

    (base,) = folders.models(model).values()
    versions = folders.versions(base)
    predict = tf.saved_model.load(str(versions[max(versions)])).signatures["predict_bytes"]
    rows = []
    for images in CONCURRENCY:
        batch, latencies = tf.constant([content] * images), []
        predict(image_bytes=batch)
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            start = time.perf_counter()
            predict(image_bytes=batch)
            latencies.append(time.perf_counter() - start)
        row = row_of("in process, a batch", images, latencies, seconds)
        rows.append({**row, "requests/s": images * row["requests/s"]})
    return rows


@contextlib.contextmanager
def served(model: pathlib.Path):
    """Context manager: runs the embedded server; yields its process and its addresses."""
    words = ["--model", str(model), "--port", "0", "--server", "embedded"]
    process = subprocess.Popen(
        [sys.executable, "-m", "darts_tf.cli", "serve", *words], stdout=subprocess.PIPE, text=True
    )
    text = ""
    while "Ctrl-C" not in text:
        if not (line := process.stdout.readline()):
            raise SystemExit("the server has ended")
        text += line
    try:
        urls = {"gRPC": r"grpc://\S+", "REST": r"http://[\w.:]+"}
        yield process, {way: re.search(url, text)[0] for way, url in urls.items()}
    finally:
        process.terminate()
        process.communicate()


def client_of(url: str, model: pathlib.Path):
    """Returns the package's own client for a model."""
    from darts_tf.export.serving import folders
    from darts_tf.export.serving.client import predictor

    (name,) = folders.models(model)
    return predictor(url, name, timeout=60)


def resident_gigabytes(pid: int) -> float:
    """Returns the resident memory of another process, GB."""
    import psutil

    return psutil.Process(pid).memory_info().rss / 1e9


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    main()
