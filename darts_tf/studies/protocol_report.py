"""Report of a protocol, read from the results of its runs so far. No TensorFlow."""

from __future__ import annotations

import math
import pathlib
import statistics

from darts_tf.configs import SelectConfig
from darts_tf.errors import InputError, shown
from darts_tf.runs import files
from darts_tf.runtime import atomic
from darts_tf.runtime.duration import duration
from darts_tf.spaces.collapse import describe_collapse
from darts_tf.spaces.genotype import Genotype
from darts_tf.spaces.search_spaces import SPACES
from darts_tf.spaces.stability import describe_stability, expected_shared, shared_by_pairs
from darts_tf.studies.tables import accuracy_with_deviation, markdown_of

STAGES = {"search": "searches", "brief": "brief trainings", "final": "full trainings"}
"""The stages of a protocol in their order: their folders, and what people call them."""

_NUMBERS = {
    "search": ("valid_accuracy", "seconds"),
    "brief": ("valid_accuracy", "seconds", "params", "macs"),
    "final": ("test_error", "seconds"),
}
"""Numbers in the result of a run beside its genotype, by stage."""


def result_of(folder: pathlib.Path) -> dict | None:
    """Returns the result of a run of a protocol; None if it is not finished.

    Args:
        folder: of the run, in that of its stage.

    Raises:
        InputError: its result is no result.
    """
    path = folder / files.RESULT
    if not path.is_file():
        return None
    result = files.read_json(path)
    needed = _NUMBERS[folder.parent.name]
    values = [result.get(name) for name in needed] if isinstance(result, dict) else [None]
    if not all(type(value) in (int, float) and math.isfinite(value) for value in values):
        raise InputError(
            f"{path}: Expected the numbers {', '.join(needed)}. Received: {shown(result)}"
        )
    try:
        return {**result, "genotype": Genotype.from_fields(result.get("genotype"))}
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def chosen(config: SelectConfig) -> int | None:
    """The seed of the search that found the best cell; None while not all have been compared.

    Of cells that are equally good the first is chosen.
    """
    briefs = {seed: result_of(config.brief_run(seed, "").workdir) for seed in config.seeds}
    if None in briefs.values():
        return None
    return max(briefs, key=lambda seed: briefs[seed]["valid_accuracy"])


def report(config: SelectConfig) -> dict[str, object]:
    """All that is known, for a JSON file; accuracies are shares, errors are in percent.

    `candidates` are in the order of their brief trainings, the best first, and those that have
    none at the end. `shared_edges` has the number of edges that every two of them share. `best` is
    None until all have been compared. Deviations are those of a sample, which one training has none
    of. `stages` has what each has cost, also by trainings of a cell that was the best before there
    were more searches.
    """
    candidates = [_candidate(config, seed) for seed in config.seeds]
    # those with equal accuracies stay in the order of the seeds
    candidates.sort(key=lambda each: -(each.get("valid_accuracy", -1)))
    for rank, each in enumerate(candidates, 1):
        each["rank"] = rank if "valid_accuracy" in each else None
    best = chosen(config)
    stages = {stage: _cost(config.workdir / stage) for stage in STAGES}
    wanted = {
        "search": [config.search_run(seed).workdir for seed in config.seeds],
        "brief": [config.brief_run(seed, "").workdir for seed in config.seeds],
        "final": [],
    }
    if best is not None:
        wanted["final"] = [config.full_run(best, each, "").workdir for each in config.final_seeds]
    for stage, folders in wanted.items():
        stages[stage]["done"] = sum((folder / files.RESULT).is_file() for folder in folders)
        stages[stage]["of"] = len(config.final_seeds if stage == "final" else config.seeds)
    genotypes = [each["genotype"] for each in candidates if "genotype" in each]
    space = SPACES[config.search_run(config.seeds[0]).space]
    return {
        "preset": config.preset,
        "candidates": candidates,
        "stability": describe_stability(genotypes, space),
        "shared_edges": shared_by_pairs(genotypes),
        "shared_edges_of_random_cells": expected_shared(space),
        "best": None if best is None else _best(config, best),
        "stages": stages,
        "seconds": sum(stage["seconds"] for stage in stages.values()),
    }


def _candidate(config: SelectConfig, seed: int) -> dict[str, object]:
    search, brief = config.search_run(seed).workdir, config.brief_run(seed, "").workdir
    found = {"seed": seed, "search": _place(config, search), "brief": _place(config, brief)}
    if searched := result_of(search):
        found |= {
            "genotype": searched["genotype"],
            "degenerate": describe_collapse(searched["genotype"]),
            "supernet_valid_accuracy": searched["valid_accuracy"],
            "search_seconds": searched["seconds"],
        }
    if trained := result_of(brief):
        found |= {name: trained[name] for name in ("valid_accuracy", "params", "macs")}
        found["brief_seconds"] = trained["seconds"]
    return found


def _best(config: SelectConfig, found_by: int) -> dict[str, object]:
    folders = {seed: config.full_run(found_by, seed, "").workdir for seed in config.final_seeds}
    results = {seed: result_of(folder) for seed, folder in folders.items()}
    errors = {seed: result["test_error"] for seed, result in results.items() if result}
    return {
        "seed": found_by,
        "test_error": statistics.fmean(errors.values()) if errors else None,
        "test_error_deviation": statistics.stdev(errors.values()) if len(errors) > 1 else None,
        "test_errors": errors,
        "runs": {seed: _place(config, folders[seed]) for seed in errors},
    }


def _place(config: SelectConfig, folder: pathlib.Path) -> str:
    return folder.relative_to(config.workdir).as_posix()


def _cost(folder: pathlib.Path) -> dict[str, object]:
    results = (result_of(run) for run in sorted(folder.glob("*")))
    return {"seconds": sum(result["seconds"] for result in results if result)}


def table(found: dict) -> list[list[str]]:
    """The candidates for people: a row of headings, and a row of texts for each."""
    lines = [
        [
            *("rank", "search seed", "valid accuracy (%)", "supernet's (%)", "params (M)"),
            *("MACs (M)", "search (s)", "brief training (s)"),
        ]
    ]
    for each in found["candidates"]:
        lines.append(
            [
                *(str(each["rank"] or ""), str(each["seed"])),
                *(
                    _number(each, "valid_accuracy", 100),
                    _number(each, "supernet_valid_accuracy", 100),
                ),
                *(_number(each, "params", 1e-6), _number(each, "macs", 1e-6)),
                *(_number(each, "search_seconds", 1, 0), _number(each, "brief_seconds", 1, 0)),
            ]
        )
    return lines


def _number(candidate: dict, name: str, factor: float, digits: int = 2) -> str:
    return f"{factor * candidate[name]:.{digits}f}" if name in candidate else ""


def notes(found: dict) -> list[str]:
    """Returns notes as lines: degenerate cells, the best cell's accuracies, costs of the stages."""
    lines = [
        f"search seed {each['seed']}: {each['degenerate']}"
        for each in found["candidates"]
        if each.get("degenerate")
    ]
    if found["stability"]:
        lines.append(found["stability"])
    if best := found["best"]:
        lines.append(f"best: search seed {best['seed']}{_accuracies(best)}")
    for stage, name in STAGES.items():
        cost = found["stages"][stage]
        lines.append(f"{name}: {cost['done']} of {cost['of']} done, {duration(cost['seconds'])}")
    return [*lines, f"all: {duration(found['seconds'])}"]


def _accuracies(best: dict) -> str:
    errors = best["test_errors"]
    if not errors:
        return ""
    each = ", ".join(f"seed {seed}: {100 - error:.2f}" for seed, error in errors.items())
    mean = accuracy_with_deviation(best["test_error"], best["test_error_deviation"])
    return f", test accuracy {mean} % ({each})"


def to_markdown(found: dict) -> str:
    """The table in Markdown, with the notes and all genotypes below."""
    text = markdown_of(table(found), notes(found), first="---:") + "\n"
    for each in found["candidates"]:
        if "genotype" in each:
            text += f"Cells of search seed {each['seed']}:\n\n```\n{each['genotype']}\n```\n\n"
    return text.rstrip("\n") + "\n"


def write(config: SelectConfig) -> dict[str, object]:
    """Writes the report into the protocol's folder, for programs and for people; returns it.

    The best genotype gets a file there too, once it is known.
    """
    found = report(config)
    if found["best"]:
        best = result_of(config.search_run(found["best"]["seed"]).workdir)
        best["genotype"].save(config.workdir / files.GENOTYPE)
    as_json, as_markdown = (config.workdir / name for name in files.REPORTS)
    candidates = [
        {**each, "genotype": _fields(each["genotype"])} if "genotype" in each else each
        for each in found["candidates"]
    ]
    files.write_json(as_json, {**found, "candidates": candidates})
    atomic.write_text(as_markdown, to_markdown(found))
    return found


def _fields(genotype: Genotype) -> dict[str, object]:
    return dict(vars(genotype))
