"""`darts-tf export`: a trained network as SavedModel, TFLite and a page for browsers."""

from __future__ import annotations

import numpy as np
from rich.console import Console
from rich.table import Table

import export
from cli import quiet
from darts_tf import runs
from darts_tf.configs import ExportConfig, TrainConfig
from darts_tf.data import Preprocessing, as_read_by, first_images
from darts_tf.names import first_line
from darts_tf.training import dataset_of, load_run
from export import folder


def run(config: ExportConfig) -> int:
    """Writes every format, compares it with Keras and prints what came out."""
    report = export_with_progress(config)
    Console(highlight=False).print(table(report))
    print(f"every model agrees with Keras\nwritten: {config.output}")
    return 0


def export_with_progress(config: ExportConfig) -> dict:
    """Exports a run's network with a line a step on standard output; returns the report."""
    folder.check_output(config.output, config.overwrite)  # before the run takes its time
    for name in config.format:
        export.FORMATS[name].check()
    with quiet.held_stderr():
        network, preprocessing, classes = load_run(config.workdir)
        images = _test_images(config, len(classes), preprocessing)
        return export.export(
            network,
            preprocessing,
            classes,
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


def _test_images(config: ExportConfig, classes: int, preprocessing: Preprocessing) -> np.ndarray:
    trained = TrainConfig.from_dict(runs.read_json(runs.existing(config.workdir, runs.CONFIG)))
    limit = max(config.check_images, classes)  # a dataset has every class
    try:
        dataset = dataset_of(trained, limit)
    except OSError as error:  # an imported run's, say, which was never on this machine
        print(f"comparing on noise: {first_line(error)}", flush=True)
        size = (preprocessing.height, preprocessing.width, preprocessing.channels)
        noise = np.random.default_rng(trained.seed)
        return noise.integers(0, 256, (config.check_images, *size), dtype=np.uint8)
    return first_images(as_read_by(preprocessing, dataset.test), preprocessing, config.check_images)
