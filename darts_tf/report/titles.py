"""Titles of pictures of runs and of published cells: the name, the data set and the accuracy."""

from __future__ import annotations

import pathlib

from darts_tf.report.findings import outcome_of
from darts_tf.report.run import config_of, metrics_of
from darts_tf.runs import files
from darts_tf.spaces.zoo import ZOO


def title_of_run(folder: pathlib.Path, result: bool = True) -> str:
    """Returns the title of a run: `search on digits, supernet's validation accuracy 95.05 %`.

    The parts that are not known yet are left out.

    Args:
        folder: the folder of the run.
        result: True to add the result of the last epoch.
    """
    name = folder.resolve().name or "run"
    path = folder / files.DATASET
    stored = files.read_json(path) if path.is_file() else {}
    dataset = stored.get("name") if isinstance(stored, dict) else None
    if isinstance(dataset, str) and dataset:
        name = f"{name} on {pathlib.PurePath(dataset).name}"
    results = results_of_run(folder) if result else {}
    return ", ".join([name, *list(results.values())[-1:]])


def results_of_run(folder: pathlib.Path) -> dict[int, str]:
    """Returns the result after each epoch of a run: `supernet's validation accuracy 95.05 %`."""
    if not (folder / files.CONFIG).is_file():
        return {}
    config = config_of(folder)
    metrics = metrics_of(folder if config.inner_runs else config.last_folder)
    results = {}
    for count, line in enumerate(metrics, 1):
        if result := outcome_of(config, metrics[:count]):
            results[line["epoch"]] = " ".join(result)
    return results


def title_of_published(name: str) -> str:
    """Returns the title of published cells: `DARTS_V2, 97.24 % on CIFAR-10 as published`."""
    error = ZOO[name].cifar10_error
    return name if error is None else f"{name}, {100 - error:.2f} % on CIFAR-10 as published"
