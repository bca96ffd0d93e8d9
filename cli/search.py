"""`darts-tf search`: from a dataset to a genotype."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TypeVar

from cli import output, quiet
from cli.progress import EpochProgress, duration
from darts_tf import plugins
from darts_tf.configs import SearchConfig, TextSearchConfig
from darts_tf.data import ImageDataset, TextDataset, load_dataset, load_text
from darts_tf.errors import listed
from darts_tf.runs import files
from darts_tf.runs import folder as run_folder
from darts_tf.runtime.distribution import is_chief, make_strategy
from darts_tf.search import text
from darts_tf.search.memory_estimate import check_memory
from darts_tf.search.stages import search_as_asked
from darts_tf.spaces.genotype import Genotype, RecurrentGenotype
from darts_tf.spaces.search_spaces import DARTS, SPACES

Dataset = TypeVar("Dataset", ImageDataset, TextDataset)


def run(config: SearchConfig | TextSearchConfig) -> int:
    """Searches, and prints the genotype as it evolves."""
    prepare(config)
    begin("search", config)
    on_text = isinstance(config, TextSearchConfig)
    genotype = (search_text if on_text else search_with_progress)(config)
    end_of_search("search", config, genotype)
    return 0


def begin(command: str, config) -> None:
    """Tells programs that a command begins, with its settings."""
    output.event("start", command=command, run=config.workdir, settings=config.to_dict())


def end_of_search(command: str, config, genotype: Genotype | RecurrentGenotype) -> None:
    """Prints the genotype that was found, where it is, and what may come next."""
    path = config.workdir / files.GENOTYPE
    cells = dataclasses.asdict(genotype)
    output.event("end", command=command, run=config.workdir, genotype=path, cells=cells)
    output.result(f"\n{genotype}\n\ngenotype: {path}")
    follow("next", f"train --genotype {path} --dataset {config.dataset} --workdir DIR")
    if command == "search":
        follow("look", f"report {config.workdir}")


def follow(what: str, words: str) -> None:
    """Tells people what may come next: another command, with the scripts that this one has run."""
    scripts = "".join(f" --plugin {plugin}" for plugin in plugins.loaded())
    output.say(f"{what}: darts-tf {words}{scripts}")


def prepare(config) -> None:
    """Checks the folder of the run and makes its strategy, before anything takes its time."""
    if is_chief():  # it makes the folder, and may have done so already
        run_folder.check(config.workdir, overwrite=config.overwrite, resume=config.resume)
    if config.resume:
        output.say(f"going on with the settings of {config.workdir / files.CONFIG}")
    strategy = make_strategy(config.strategy, config.devices)
    if strategy.num_replicas_in_sync > 1:
        output.say(f"{strategy.num_replicas_in_sync} replicas by {type(strategy).__name__}")


def introduced(load: Callable[[], Dataset]) -> Dataset:
    """The dataset that `load` loads, once it has been introduced on standard output."""
    with quiet.held_stderr():
        dataset = load()
    output.event("dataset", name=dataset.name, text=describe(dataset))
    output.say(describe(dataset))
    return dataset


def dataset_of(config: SearchConfig) -> ImageDataset:
    """The dataset of a search, once it has been introduced."""
    return introduced(
        lambda: load_dataset(
            config.dataset,
            image_size=config.image_size,
            limit=config.limit,
            seed=config.seed,
            max_bad_images=config.max_bad_images,
        )
    )


def search_with_progress(config: SearchConfig) -> Genotype:
    """Searches with a line per epoch on standard output."""
    dataset = dataset_of(config)
    size, space = dataset.preprocessing, SPACES[config.space]
    if config.space != DARTS:
        names = listed(space.all_primitives)
        output.say(f"space {config.space}: {space.nodes} nodes, {names}; {space.cells():,} cells")
    first = config.stage(0) if config.stages else config
    output.say(f"needs {check_memory(first, size.height, size.width)}")
    with EpochProgress(config.epochs, config.arch_from_epoch, config.workdir) as progress:
        reports = {"report": progress.report, "report_selection": show_round}
        return search_as_asked(config, dataset, callbacks=(progress,), **reports)


def show_round(done: dict) -> None:
    """Prints what a round of a selection by perturbation has chosen, and what is left."""
    chosen = "; ".join(words.partition(" (")[0] for words in done["chosen"])
    left = f"about {duration(done['seconds_left'])} left"
    output.event("selection_round", **done)
    output.say(f"round {done['round']:>2}/{done['rounds']}  {chosen}; {left}")


def search_text(config: TextSearchConfig) -> RecurrentGenotype:
    """Searches on a text with a line per epoch on standard output."""
    dataset = introduced(lambda: load_text(config.dataset, limit=config.limit))
    with EpochProgress(config.epochs, config.arch_from_epoch, config.workdir) as progress:
        return text.search(config, dataset, progress.report, callbacks=(progress,))


def describe(dataset: ImageDataset | TextDataset) -> str:
    """One line on a dataset."""
    if isinstance(dataset, TextDataset):
        sizes = (len(dataset.train), len(dataset.valid), len(dataset.test), len(dataset.vocabulary))
        words = "{:,} training, {:,} valid and {:,} test words, vocabulary of {:,}".format(*sizes)
        return f"{dataset.name}: {words}"
    size = dataset.preprocessing
    kind = "gray" if size.channels == 1 else "colour"
    return (
        f"{dataset.name}: {dataset.train.size:,} training and "
        f"{dataset.test.size:,} test images, {size.height}x{size.width} {kind}, "
        f"{len(dataset.classes)} classes"
    )
