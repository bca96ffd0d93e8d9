"""`darts-tf select`: the paper's protocol of several searches and trainings of the best cell."""

from __future__ import annotations

import dataclasses

import keras

from darts_tf.cli import jobs, lookup, output
from darts_tf.cli.jobs import begin, follow, search_with_progress, train_with_progress
from darts_tf.configs import SearchConfig, SelectConfig, TrainConfig
from darts_tf.data import defaults, lasting_name
from darts_tf.data.layouts import is_image_folder
from darts_tf.runs import files
from darts_tf.runs import folder as run_folder
from darts_tf.studies import protocol_report
from darts_tf.studies.protocol import select


def run(config: SelectConfig) -> int:
    """Runs the protocol, or the rest of it, and prints the report and the paths of its files."""
    jobs.alone()
    run_folder.check_workdir(config.workdir, overwrite=config.overwrite, resume=config.resume)
    begin("select", config)
    if config.dataset:  # other processes may join from other working directories
        config = dataclasses.replace(config, dataset=lasting_name(config.dataset))
        if not config.resume and config.preset == "photos":
            config = _following_images(config)
    outcome = jobs.kept_on_stop(config.workdir, lambda: select(config, _run, jobs.say))
    jobs.show_table(protocol_report.table(outcome), protocol_report.notes(outcome))
    reports = [config.workdir / name for name in files.REPORTS]
    genotype = config.workdir / files.GENOTYPE
    output.event("end", command="select", run=config.workdir, genotype=genotype, reports=reports)
    output.result(f"report: {' and '.join(map(str, reports))}")
    output.result(f"genotype: {genotype}")
    trained = config.workdir / next(iter(outcome["best"]["runs"].values()))
    follow("next", "export", trained, "--output", lookup.export_folder(config.workdir))
    return 0


def _following_images(config: SelectConfig) -> SelectConfig:
    """Adds settings that follow the images of a folder, before those that are set."""
    if not is_image_folder(config.dataset):
        return config
    held_out = {"search": 0.0, "train": config.validation_split}
    assignments = {}
    for name, share in held_out.items():
        options = {"searches": name == "search"}
        count = defaults.images_per_epoch(
            config.dataset, limit=config.limit, held_out=share, **options
        )
        fields = defaults.of_folder(config.dataset, count, **options)
        own = (f"{field}={value}" for field, value in fields.items())
        assignments[name] = (*own, *getattr(config, name))
    return dataclasses.replace(config, **assignments)


def _run(config: SearchConfig | TrainConfig) -> None:
    job = search_with_progress if config.searches else train_with_progress
    job(config)
    keras.backend.clear_session()  # free the memory of this network
