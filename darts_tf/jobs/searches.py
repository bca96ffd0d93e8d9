"""Searches for cells, on images and on text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import keras

from darts_tf.configs import DeriveConfig, SearchConfig
from darts_tf.jobs.inputs import loaded, settings_of, suited, workdir_of
from darts_tf.jobs.progress import Lines
from darts_tf.jobs.results import Result, fields_of
from darts_tf.plots.figures import plot_supernet
from darts_tf.runs.alphas import load_alphas, supernet_settings
from darts_tf.runs.confidence import Confidence, describe_confidence, load_confidence
from darts_tf.search.reselection import choose_again
from darts_tf.search.stages import search_as_asked
from darts_tf.search.text import search_text
from darts_tf.spaces.genotype import AnyGenotype

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Search(Result):
    """A finished search.

    It has the `genotype`, the `history` of its metrics (a list for each name, as in Keras), the
    `workdir`, the `config` and the `data`. `plot()` draws the cells, which notebooks show by
    themselves, and `report()` writes a page for browsers. All functions that take a search take its
    folder too.
    """

    @property
    def confidence(self) -> Confidence | None:
        """How sure the choices are, by `choices`; None if that is not known.

        It is known after a search with `restart_every`, see `runs.confidence`.
        """
        return load_confidence(self.config.last_folder, self.genotype)

    def plot(self, **options) -> Figure:
        """Draws the cells, undecided choices dashed; `options` are those of `plot_genotype`."""
        confidence = self.confidence
        undecided = confidence and confidence.undecided_pairs
        return super().plot(**{"undecided": undecided, **options})

    def plot_supernet(self, **options) -> Figure:
        """Draws all edges as strong as they are; `options` are those of `plot_supernet`."""
        folder = self.config.last_folder
        options = {**supernet_settings(folder), "genotype": self.genotype, **options}
        return plot_supernet(load_alphas(folder), **options)


def search_cells(
    data,
    *,
    preset: str | None = None,
    workdir=None,
    verbose: int | str = "auto",
    callbacks: Sequence[keras.callbacks.Callback] = (),
    **settings,
) -> Search:
    """Searches for cells on a data set: all of what `darts-tf search` does.

    Example:
        ```python
        found = darts_tf.search_cells("photos", epochs=20)
        print(found.genotype)
        found.plot()
        trained = darts_tf.train_network(found)
        ```

    Args:
        data: a folder or the name of a data set, on images or a text; arrays `(images, labels)`,
            a `tf.data.Dataset` of such pairs, or `(train, test)` of these, as in `make_dataset`;
            or a data set that is loaded already. The test images are not touched.
        preset: name of the preset that sets the defaults of all settings, as `--preset` does. By
            default `digits` for the embedded digits, `pydoc` for texts, and `photos` for all other
            images, where batch and epochs follow their number.
        workdir: folder of the run, new or empty. By default the first free one of
            `runs/search-1`, `runs/search-2`, ...; a search keeps checkpoints, so that it can be
            resumed by `workdir=..., resume=True`.
        verbose: 0 for silence, 1 for a bar per epoch, 2 for a line per epoch; "auto" is 1.
        callbacks: Keras callbacks; they get no logs of batches.
        **settings: the settings of the search, as the flags of `darts-tf search`: `epochs=20`,
            `channels=16`, `arch_gradient="first_order"`. `configs.SearchConfig` and
            `configs.TextSearchConfig` list them.

    Returns:
        The search, with `.genotype`, `.history`, `.plot()` and `.workdir`.

    Raises:
        InputError: unknown or bad data, an unknown or invalid setting, or a folder that is in use;
            nothing has been written then.
        Interrupted: the run was interrupted; a checkpoint has been written.
        Diverged: losses or gradients were not finite again after a rollback.
        OSError: a file could not be written; earlier checkpoints are unchanged.
    """
    say = Lines(verbose)
    config = settings_of(SearchConfig, data, preset, workdir, settings)
    dataset = loaded(config, data)
    config = suited(config, dataset, settings)
    find_cells(config, dataset, say, callbacks)
    search = Search(**fields_of(config, data))
    confidence = search.confidence
    for line in describe_confidence(confidence, search.genotype) if confidence else ():
        say(line)
    for doubt in search.doubts:
        say(f"warning: {doubt}")
    return search


def find_cells(
    config, dataset, say: Lines, callbacks: Sequence[keras.callbacks.Callback] = ()
) -> AnyGenotype:
    """Runs a search, new or resumed by its settings.

    Args:
        config: the settings.
        dataset: the data set to search on.
        say: prints lines, and makes the callbacks of the progress.
        callbacks: further Keras callbacks.
    """
    say_data(dataset, say)
    say(f"search in {config.workdir}: {config.epochs} epochs, batches of {config.batch_size}")
    callbacks = (*say.callbacks(), *callbacks)
    if config.on_text:
        return search_text(config, dataset, callbacks=callbacks)
    report = {"report_selection": _told(say)}
    return search_as_asked(config, dataset, callbacks=callbacks, **report)


def say_data(dataset, say: Callable[[object], None]) -> None:
    """Prints a line about a data set, and what is worth knowing about its folder and images."""
    for line in (dataset, *getattr(dataset, "notes", ())):
        say(line)


def _told(say: Callable[[object], None]) -> Callable[[dict], None]:
    """Returns a function that prints the rounds of a selection by perturbation."""
    return lambda done: say(f"round {done['round']}/{done['rounds']}  {'; '.join(done['chosen'])}")


def derive_cells(search, data=None, *, verbose: int | str = "auto", **settings):
    """Chooses the cells of a finished search again, by another rule or within limits.

    Example:
        ```python
        smaller = darts_tf.derive_cells(found, budget="macs=10M", max_skips=2)
        trained = darts_tf.train_network(smaller, "photos")
        ```

    Args:
        search: a search, or its folder.
        data: data of the search, which only rules need that measure the supernet; by default the
            data that it was given.
        verbose: 0 for silence.
        **settings: `budget`, `max_skips`, `selection` and the other flags of `darts-tf derive`.

    Returns:
        The genotype.

    Raises:
        InputError: no finished search, or settings that do not fit it.
    """
    say, workdir = Lines(verbose), workdir_of(search)
    config = DeriveConfig.from_dict({"workdir": str(workdir), **settings})
    given = next((each for each in (data, getattr(search, "data", None)) if each is not None), None)

    def load(searched: SearchConfig):
        return loaded(searched, searched.dataset if given is None else given)

    genotype, cost = choose_again(config, load, _told(say))
    if cost:
        say(cost)
    if config.output:
        genotype.save(config.output)
    return genotype
