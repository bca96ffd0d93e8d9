"""Cost of the page of `--format web` in headless Chromium: size, time to load, time per picture.

PYTHONPATH=tests/support python benchmarks/web_page.py
"""

from __future__ import annotations

import pathlib
import re
import statistics
import tempfile
import time

import numpy as np
from chrome import Site, browser
from measuring import save, show
from PIL import Image

import darts_tf
from darts_tf.data import Preprocessing
from darts_tf.export.folding import fold_normalizations
from darts_tf.export.images import Examples
from darts_tf.export.inference import inference_copy
from darts_tf.export.tflite import model as tflite_model
from darts_tf.export.web import page

GRAYSCALE, COLOR = ((0.3,), (0.4,)), ((0.5,) * 3, (0.2,) * 3)
NETWORKS = {
    "digits (16 channels, 5 cells, 8x8)": (
        {"channels": 16, "cells": 5, "classes": 10, "image_channels": 1},
        Preprocessing(8, 8, 1, *GRAYSCALE),
    ),
    "ImageNet (48 channels, 14 cells, 224x224)": (
        {"channels": 48, "cells": 14, "classes": 1000, "stem": "imagenet"},
        Preprocessing(224, 224, 3, *COLOR, shorter_side=256),
    ),
}
PHOTO = (4000, 3000)
RUNS = 20


def main():
    """Measures one network after the other, each in a new browser."""
    with tempfile.TemporaryDirectory() as folder:
        results = {
            name: measure(pathlib.Path(folder) / str(i), *NETWORKS[name])
            for i, name in enumerate(NETWORKS)
        }
    first = next(iter(results.values()))
    rows = [(key, *(result[key] for result in results.values())) for key in first]
    show("web page", ("", *results), rows)
    save("web_page", results)


def measure(folder: pathlib.Path, settings: dict, preprocessing: Preprocessing) -> dict:
    """Measures sizes and times of one network's page."""
    network = inference_copy(darts_tf.build_network(darts_tf.GENOTYPES["DARTS_V2"], **settings))
    fold_normalizations(network)
    labels = tuple(f"class {i}" for i in range(settings["classes"]))
    page.write(network, preprocessing, folder, Examples(labels))
    photo = folder.with_suffix(".jpg")
    coarse = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)
    Image.fromarray(coarse).resize(PHOTO, Image.Resampling.BICUBIC).save(photo, quality=90)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    model = (folder / page.MODEL).stat().st_size
    sizes = {"folder MB": size / 1e6, "model MB": model / 1e6}
    return {**sizes, **in_browser(folder, photo), "network in Python ms": in_python(folder, photo)}


def in_browser(folder: pathlib.Path, photo: pathlib.Path) -> dict:
    """Measures the first load, a load from the page's cache, and classification of pictures."""
    with Site(folder) as site, browser() as opened:
        times = {"first load s": seconds(lambda: opened.open(site.url))}
        opened.wait_for("document.getElementById('offline').textContent")
        times["load without network s"] = seconds(opened.reload)
        shown = []
        for _ in range(RUNS):
            opened.choose(photo)
            shown.append(
                [float(number) for number in re.findall(r"[\d.]+", opened.text("latency"))]
            )
    network, preparing = (statistics.median(column) for column in zip(*shown, strict=True))
    return {**times, "network ms": network, "decoding and resizing 12 MP ms": preparing}


def in_python(folder: pathlib.Path, photo: pathlib.Path) -> float:
    """Returns the latency of the same file by LiteRT outside a browser, one thread, ms."""
    preprocessing = Preprocessing.from_json((folder / "preprocessing.json").read_text())
    image = preprocessing.decode(photo.read_bytes()).numpy()[None]
    logits = tflite_model.open_logits(folder / page.MODEL)
    return 1e3 * statistics.median(seconds(lambda: logits(image)) for _ in range(RUNS))


def seconds(run) -> float:
    """Returns the time of a call, seconds."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
