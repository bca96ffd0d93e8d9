"""`darts-tf plot`: a picture of cells, or an animation of a search."""

from __future__ import annotations

import pathlib

from darts_tf.cli import output
from darts_tf.configs import PlotConfig
from darts_tf.errors import InputError
from darts_tf.report.titles import results_of_run, title_of_published, title_of_run
from darts_tf.runs import files
from darts_tf.runs.alphas import chosen_genotype, load_alphas, load_history, supernet_settings
from darts_tf.runs.confidence import load_confidence
from darts_tf.runtime import atomic
from darts_tf.runtime.outputs import check_output_file
from darts_tf.spaces.zoo import GENOTYPES, RECURRENT_GENOTYPES, load_genotype, short_name

PICTURES, FILMS = ("svg", "png", "pdf", "gif"), ("svg", "gif")
"""Suffixes of the files that pictures and animations can be written to."""


def run(config: PlotConfig) -> int:
    """Writes the file, and prints its path."""
    folder = _folder(config)
    known = FILMS if config.animate else PICTURES
    path = config.output or pathlib.Path(f"{_name(config, folder)}.{known[0]}")
    check_picture("output", path, known, config.overwrite)
    _write(_content(config, folder, path.suffix[1:].lower()), path)
    return 0


def write(figure, path: pathlib.Path) -> None:
    """Writes a picture in the format of its file's suffix, and prints its path."""
    from darts_tf.plots.figures import picture  # matplotlib takes its time

    _write(picture(figure, path.suffix[1:].lower()), path)


def _write(content: bytes, path: pathlib.Path) -> None:
    with atomic.replacing(path) as written:
        written.write_bytes(content)
    output.result(f"picture: {path}")


def check_picture(
    name: str, path: pathlib.Path, known: tuple[str, ...], overwrite: bool | None = None
) -> None:
    """Checks the path of a picture or animation before it is drawn.

    Args:
        name: name of the setting, for messages.
        path: the file.
        known: possible suffixes.
        overwrite: whether an existing file may be replaced; None if there is no such option.

    Raises:
        InputError: an unknown suffix, or an error of `check_output_file`.
    """
    if path.suffix[1:].lower() not in known:
        endings = ", ".join(f".{suffix}" for suffix in known)
        raise InputError(f"Expected {name} to end with one of {endings}. Received: {path}")
    check_output_file(name, path, overwrite)


def _folder(config: PlotConfig) -> pathlib.Path | None:
    """Returns the folder of the run that `genotype` names, or None for another genotype."""
    name = config.genotype
    if not pathlib.Path(name).is_dir() or name in (*GENOTYPES, *RECURRENT_GENOTYPES):
        if config.supernet or config.animate:
            flag = "--supernet" if config.supernet else "--animate"
            raise InputError(f"Expected a search's folder for {flag}. Received: {name}")
        return None
    return pathlib.Path(name)


def _short_name(config: PlotConfig, folder: pathlib.Path | None) -> str:
    """Returns the name of the genotype or run."""
    if folder:
        return folder.resolve().name or "run"
    return short_name(config.genotype)


def _name(config: PlotConfig, folder: pathlib.Path | None) -> str:
    """Returns the default name of the file, without suffix."""
    parts = {
        config.cell: config.cell != "both",
        "recurrent": config.recurrent and config.genotype in RECURRENT_GENOTYPES,
        "supernet": config.supernet,
        "search": config.animate,
        "dark": config.dark,
    }
    wanted = [part for part, chosen in parts.items() if chosen]
    return "-".join([_short_name(config, folder), *wanted])


def _title(config: PlotConfig, folder: pathlib.Path | None) -> str:
    """Returns the name of the genotype or run, with the data set and the accuracy if known."""
    if folder:
        return title_of_run(folder, result=not config.animate)
    if config.genotype in GENOTYPES and not config.recurrent:
        return title_of_published(config.genotype)
    return _short_name(config, folder)


def _content(config: PlotConfig, folder: pathlib.Path | None, format: str) -> bytes:
    looks = {"cell": None if config.cell == "both" else config.cell, "dark": config.dark}
    title = _title(config, folder)
    if config.animate:
        arrays = load_history(folder)
        from darts_tf.plots.films import animation  # matplotlib takes its time

        settings, results = supernet_settings(folder), results_of_run(folder)
        return animation(arrays, format, title=title, results=results, **settings, **looks)
    if config.supernet:
        alphas, genotype = load_alphas(folder), chosen_genotype(folder)
        from darts_tf.plots.figures import picture, plot_supernet

        settings = supernet_settings(folder)
        figure = plot_supernet(alphas, genotype=genotype, title=title, **settings, **looks)
    else:
        path = files.existing(folder, files.GENOTYPE) if folder else config.genotype
        genotype = load_genotype(path, recurrent=config.recurrent or None)
        confidence = load_confidence(folder, genotype) if folder else None
        undecided = confidence and confidence.undecided_pairs
        from darts_tf.plots.figures import picture, plot_genotype

        figure = plot_genotype(genotype, undecided=undecided, title=title, **looks)
    return picture(figure, format)
