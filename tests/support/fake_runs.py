"""Fake folders of searches and trainings."""

from __future__ import annotations

import json
import pathlib

import numpy as np

from darts_tf import configs
from darts_tf.runs import files
from darts_tf.runs.alphas import extend_history, save_alphas
from darts_tf.runs.metrics import append_metrics, append_time
from darts_tf.spaces.cell import edges, recurrent_edges
from darts_tf.spaces.derivation import derive, derive_recurrent
from darts_tf.spaces.genotype import Genotype
from darts_tf.spaces.zoo import GENOTYPES

HOSTILE = "<script>alert('x')</script>&\"\u2028"
SKIPS = Genotype(
    (("skip_connect", 0), ("skip_connect", 1)) * 4,
    (2, 3, 4, 5),
    GENOTYPES["DARTS_V1"].reduce,
    (2, 3, 4, 5),
)
"""Genotype with degenerate cells."""

PREPROCESSING = {"height": 8, "width": 8, "channels": 1, "mean": [0.5], "std": [0.5]}


def described(folder: pathlib.Path, config, **dataset) -> pathlib.Path:
    """Writes the files that a run starts with."""
    folder.mkdir(parents=True, exist_ok=True)
    files.write_json(folder / files.CONFIG, config.to_dict())
    images = {"name": "digits", "classes": list("0123456789"), "preprocessing": PREPROCESSING}
    images["images"] = {"train": 64, "test": 32}
    files.write_json(folder / files.DATASET, {**images, **dataset})
    return folder


def lines(folder: pathlib.Path, metrics) -> None:
    """Writes metrics and times of epochs."""
    for epoch, each in enumerate(metrics):
        append_metrics(folder, {"epoch": epoch, **each})
        append_time(folder, epoch, 2.0)


def alphas_of(epoch: int, rows: int, columns: int = 8) -> np.ndarray:
    """Returns random alphas, which grow from epoch to epoch."""
    drawn = np.random.default_rng(rows).normal(size=(rows, columns))
    return (0.5 * (epoch + 1) * drawn).astype(np.float32)


def search(folder: pathlib.Path, epochs: int = 6, done: int | None = None, **settings):
    """Writes a search, finished or not, and returns its folder."""
    config = configs.SearchConfig(workdir=folder, epochs=epochs, **settings)
    described(folder, config)
    done = epochs if done is None else done
    metrics = []
    for epoch in range(done):
        alphas = [alphas_of(epoch, len(edges())), alphas_of(epoch, len(edges())) * 0.5]
        if config.partial_channels > 1:
            alphas += [alphas_of(epoch, len(edges()), 1)[:, 0]] * 2
        extend_history(folder, epoch, *alphas)
        save_alphas(folder, *alphas)
        genotype = derive(*alphas, relaxation=config.relaxation)
        genotype.save(folder / files.GENOTYPE)
        values = {"loss": 2.0 / (epoch + 1), "valid_loss": 2.2 / (epoch + 1), "skips_normal": epoch}
        values |= {"accuracy": 0.1 * epoch, "valid_accuracy": 0.09 * epoch, "eigenvalue": 1 + epoch}
        values |= {"entropy_normal": 2.0, "entropy_reduce": 1.9, "discretisation_gap": 0.25}
        metrics.append({**values, "learning_rate": 0.1**epoch, "genotype": str(genotype)})
    lines(folder, metrics)
    return folder


def text_search(folder: pathlib.Path, epochs: int = 3):
    """Writes a search on text and returns its folder."""
    config = configs.TextSearchConfig(workdir=folder, epochs=epochs)
    described(folder, config, vocabulary=50, words={"train": 500, "valid": 50, "test": 50})
    for epoch in range(epochs):
        alphas = alphas_of(epoch, len(recurrent_edges()), 5)
        extend_history(folder, epoch, alphas)
        derive_recurrent(alphas).save(folder / files.GENOTYPE)
    lines(folder, [{"perplexity": 90.0 - i, "valid_perplexity": 95.0 - i} for i in range(epochs)])
    return folder


def training(folder: pathlib.Path, epochs: int = 4, genotype=GENOTYPES["DARTS_V2"], **settings):
    """Writes a finished training and returns its folder."""
    config = configs.TrainConfig(workdir=folder, epochs=epochs, genotype="DARTS_V2", **settings)
    described(folder, config)
    genotype.save(folder / files.GENOTYPE)
    lines(folder, [{"loss": 1.0 / (1 + i), "test_accuracy": 0.2 * i} for i in range(epochs)])
    (folder / files.MODEL).touch()
    return folder


def study(folder: pathlib.Path, count: int = 3):
    """Writes a study of settings and returns its folder."""
    over = ("learning_rate=0.01..0.1:log",)
    config = configs.TuneConfig(workdir=folder, of="search", over=over, budget="trials=4")
    described(folder, config)
    trials = [
        {"trial": f"{i:04}", "valid_accuracy": 0.1 * i, "seconds": 1.5, "epochs": 2}
        | {"settings": {"learning_rate": 0.01 * (i + 1)}}
        for i in range(count)
    ]
    table = "".join(f"{json.dumps(line)}\n" for line in trials)
    (folder / files.TRIALS_TABLE).write_text(table)
    return folder


def comparison(folder: pathlib.Path):
    """Writes a comparison of two genotypes, each trained once, and returns its folder."""
    names = ("DARTS_V1", "DARTS_V2")
    config = configs.CompareConfig(workdir=folder, genotypes=names, train=True)
    described(folder, config)
    for name in names:
        training(folder / name / "seed-0", genotype=GENOTYPES[name])
    head = "genotype,seeds,test_error,test_error_deviation,params,macs,published_error,note"
    rows = "DARTS_V1,1,12.5,,3310000,2000000,3.00,\nDARTS_V2,1,11.25,0.5,3349342,9,2.76,\n"
    (folder / "compare.csv").write_text(f"{head}\n{rows}")
    (folder / "compare.md").write_text("| a |\n\n- what the columns mean\n")
    return folder


def export(folder: pathlib.Path, genotype=GENOTYPES["DARTS_V2"]):
    """Writes the report of an export and returns its folder."""
    model = {"path": "model_float32.tflite", "bytes": 1_500_000, "difference": 1e-6}
    model |= {"agreement": 1.0, "accuracy": 0.875, "latency_ms": {"1": {"p50": 1.25}}}
    report = {"formats": {"tflite": model}, "missed": {}, "left_out": {"web": HOSTILE}}
    folder.mkdir(parents=True)
    report |= {"versions": {"keras": "3.12"}, "genotype": vars(genotype)}
    files.write_json(folder / "export_report.json", report)
    return folder
