"""`darts-tf export`: a trained network as SavedModel and TFLite."""

from __future__ import annotations

import json

import keras

from darts_tf import runs
from darts_tf.configs import ExportConfig, TrainConfig
from darts_tf.data import Preprocessing, load_dataset
from export.export import export


def run(config: ExportConfig) -> int:
    """Writes every format and prints how it compares with Keras."""
    network = keras.saving.load_model(runs.existing(config.workdir, runs.MODEL))
    described = runs.read_json(runs.existing(config.workdir, runs.DATASET))
    trained = TrainConfig.from_dict(runs.read_json(config.workdir / runs.CONFIG))
    dataset = load_dataset(
        trained.dataset, image_size=trained.image_size, limit=trained.limit, seed=trained.seed
    )
    report = export(
        network,
        Preprocessing.from_dict(described["preprocessing"]),
        described["classes"],
        config.output,
        formats=config.format,
        images=dataset.test.images[: config.check_images],
    )
    print(json.dumps(report, indent=2, default=str))
    return 0
