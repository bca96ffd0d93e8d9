"""`darts-tf export`: a trained network as SavedModel and TFLite."""

from __future__ import annotations

import numpy as np
from rich.console import Console
from rich.table import Table

import export
from cli import quiet
from darts_tf import runs
from darts_tf.configs import ExportConfig, TrainConfig
from darts_tf.data import Preprocessing, load_dataset
from export import folder
from export.loading import load_network


def run(config: ExportConfig) -> int:
    """Writes every format, compares it with Keras and prints what came out."""
    report = export_with_progress(config)
    Console(highlight=False).print(table(report))
    print(f"every model agrees with Keras\nwritten: {config.output}")
    return 0


def export_with_progress(config: ExportConfig) -> dict:
    """Exports a run's network with a line a step on standard output; returns the report."""
    model = runs.existing(config.workdir, runs.MODEL)
    described = runs.read_json(runs.existing(config.workdir, runs.DATASET))
    preprocessing = Preprocessing.from_dict(described["preprocessing"])
    folder.check_output(config.output, config.overwrite)  # before the dataset takes its time
    images = _test_images(config, preprocessing.channels)
    with quiet.held_stderr():
        return export.export(
            load_network(model),
            preprocessing,
            described["classes"],
            config.output,
            formats=config.format,
            images=images,
            overwrite=config.overwrite,
            report=lambda line: print(f"{line} ...", flush=True),
        )


def table(report: dict) -> Table:
    """What `export.export` returned, a row for every model."""
    rows = Table("file", title=f"{report['parameters']:,} parameters")
    for name in ("size", "difference from Keras", "allowed", "same top class"):
        rows.add_column(name, justify="right")
    for model in report["formats"].values():
        numbers = f"{model['difference']:.1e}", f"{model['bound']:.0e}", f"{model['agreement']:.1%}"
        rows.add_row(model["path"], f"{model['bytes'] / 1e6:,.2f} MB", *numbers)
    return rows


def _test_images(config: ExportConfig, channels: int) -> np.ndarray:
    trained = TrainConfig.from_dict(runs.read_json(runs.existing(config.workdir, runs.CONFIG)))
    options = {"image_size": trained.image_size, "seed": trained.seed}
    images = load_dataset(trained.dataset, limit=config.check_images, **options).test.images
    # A few images may all be gray where the whole dataset is not.
    return images if images.shape[-1] == channels else np.repeat(images, channels, -1)
