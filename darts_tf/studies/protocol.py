"""The paper's protocol: several searches, the best cell by brief trainings, trained in full.

Liu et al. 2019, section 3.1.1: four searches with different seeds, each cell trained from scratch
for 100 epochs, and the one with the best validation accuracy taken. Section 3.3: that is trained
several times, since one training may be lucky.

All that processes share is the protocol's folder. What is done is what has a result there; what is
to be done follows from it, so that a process may come and go at any time.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable

from darts_tf.configs import SearchConfig, SelectConfig, TrainConfig, text_datasets
from darts_tf.costs.parts import Target
from darts_tf.errors import InputError, InUse, listed
from darts_tf.runs import files
from darts_tf.runs import folder as run_folder
from darts_tf.runs.metrics import read_metrics, seconds_of
from darts_tf.runtime import atomic
from darts_tf.runtime.signals import Diverged
from darts_tf.spaces.genotype import Genotype
from darts_tf.spaces.zoo import load_genotype
from darts_tf.studies import protocol_report
from darts_tf.studies.protocol_report import result_of

PAUSE = 1.0
"""Seconds between two looks at whether another process has ended its run."""

BEGIN_WITHIN = 50
"""Tries to join, a tenth of a second apart, where other processes join at that moment."""


@dataclasses.dataclass(frozen=True)
class Job:
    """One run of a protocol.

    Attributes:
        title: for people.
        config: the run's settings.
        genotype: what it trains; None for a search.
    """

    title: str
    config: SearchConfig | TrainConfig
    genotype: Genotype | None = None

    @property
    def name(self) -> str:
        """Path in the protocol's folder, as in `search/seed-0`."""
        return "/".join(self.config.workdir.parts[-2:])


def select(
    config: SelectConfig,
    run: Callable[[SearchConfig | TrainConfig], object],
    say: Callable[[str], None] = print,
) -> dict[str, object]:
    """Does what nobody else does of a protocol, until all of it is done.

    Args:
        config: the settings.
        run: does one run, new or resumed by its settings.
        say: called with a line of text before every run, and before waiting for others.

    Returns:
        The report; see `protocol_report.report`.

    Raises:
        InputError: a text as dataset, a folder that is in use or holds something else, fewer seeds
            than before; or what `run` raises.
    """
    begin(config)
    said = ""
    while jobs := open_jobs(current(config)):
        if any(_done_here(job, config, run, say) for job in jobs):
            protocol_report.write(current(config))
            said = ""
            continue
        waits_for = f"waiting for other processes, in {listed(job.name for job in jobs)}"
        if waits_for != said:
            say(waits_for)
            said = waits_for
        time.sleep(PAUSE)
    return protocol_report.write(current(config))


def current(config: SelectConfig) -> SelectConfig:
    """The protocol as it stands in its folder, to which another process may have added seeds."""
    return run_folder.resumed(SelectConfig, config.workdir)


def begin(config: SelectConfig) -> None:
    """Makes the protocol's folder, or joins those who work in it, perhaps with more seeds.

    Raises:
        InputError: as `select`.
    """
    dataset = config.search_run(config.seeds[0]).dataset
    if text_datasets.is_text(dataset):
        raise InputError(f"Expected a dataset of images. Received: dataset={dataset!r}, a text")
    with contextlib.ExitStack() as stack:
        if config.overwrite:  # no run of it may be under way
            for lock in sorted((config.workdir / files.CLAIMS).glob("*")):
                stack.enter_context(atomic.locked(lock, _refusal(config)))
        _begin(config)


def _refusal(config: SelectConfig) -> str:
    return (
        "Expected a workdir that no other process is running in. "
        f"Received: workdir={str(config.workdir)!r}, which one is"
    )


def _begin(config: SelectConfig) -> None:
    for tries_left in reversed(range(BEGIN_WITHIN if config.resume else 1)):
        try:
            with run_folder.started_run(config, None) as folder:
                if config.resume:
                    _check_more_seeds(config)
                files.write_json(folder / files.CONFIG, config.to_dict())
            return
        except InUse:
            if not tries_left:
                raise
            time.sleep(0.1)


def _check_more_seeds(config: SelectConfig) -> None:
    before = current(config)
    for name in ("seeds", "final_seeds"):
        begun, now = getattr(before, name), getattr(config, name)
        if not set(begun) <= set(now):
            raise InputError(
                f"Expected {name} to have all of {listed(begun)}, with which the protocol was "
                f"begun, and perhaps more. Received: {listed(now)}"
            )


def open_jobs(config: SelectConfig) -> list[Job]:
    """Returns the jobs to do next, in order: all unfinished ones of the first unfinished stage."""
    for jobs in (_searches, _brief_trainings, _full_trainings):
        left = [job for job in jobs(config) if result_of(job.config.workdir) is None]
        if left:
            return left
    return []


def _searches(config: SelectConfig) -> list[Job]:
    return [
        Job(f"search, seed {seed} ({i} of {len(config.seeds)})", config.search_run(seed))
        for i, seed in enumerate(config.seeds, 1)
    ]


def _brief_trainings(config: SelectConfig) -> list[Job]:
    return [
        Job(
            f"brief training, search seed {seed} ({i} of {len(config.seeds)})",
            config.brief_run(seed, _genotype_path(config, seed)),
            _genotype(config, seed),
        )
        for i, seed in enumerate(config.seeds, 1)
    ]


def _full_trainings(config: SelectConfig) -> list[Job]:
    best = protocol_report.chosen(config)
    return [
        Job(
            f"full training of search seed {best}, seed {seed} ({i} of {len(config.final_seeds)})",
            config.full_run(best, seed, _genotype_path(config, best)),
            _genotype(config, best),
        )
        for i, seed in enumerate(config.final_seeds, 1)
    ]


def _genotype_path(config: SelectConfig, seed: int) -> str:
    return str(config.search_run(seed).workdir / files.GENOTYPE)


def _genotype(config: SelectConfig, seed: int) -> Genotype:
    return result_of(config.search_run(seed).workdir)["genotype"]


def _done_here(job: Job, config: SelectConfig, run, say) -> bool:
    """Does a run, unless another process is at it; whether it is done now."""
    lock = config.workdir / files.CLAIMS / f"{job.name.replace('/', '-')}.lock"
    lock.parent.mkdir(exist_ok=True)
    # beside the run's own lock, which it only has once its data is loaded, and not until its result
    # is written
    try:
        with atomic.locked(lock, _refusal(config)):
            if result_of(job.config.workdir) is None:
                settings = _begun_or_new(job)
                if settings.resume:  # perhaps by another command
                    with run_folder.locked(settings.workdir):
                        pass
                state = "resumed" if settings.resume else "begun"
                say(f"{job.title}: {settings.workdir}, {state}")
                diverged = _diverges(run, settings)
                if diverged:
                    say(f"{job.title}: {diverged}; it is taken as it is, its accuracy as 0")
                result = _result(settings, bool(diverged))
                files.write_json(settings.workdir / files.RESULT, result)
    except InUse:
        return False
    return True


def _diverges(run, settings: SearchConfig | TrainConfig) -> str:
    """Does a run; why it did not end, where that is no reason to leave the others undone.

    Raises:
        Diverged: a full training, or a search before it had a genotype.
    """
    try:
        run(settings)
    except Diverged as error:
        compared = settings.searches or settings.validation_split
        if not compared or not (settings.workdir / files.GENOTYPE).exists():
            raise
        return str(error)
    return ""


def _begun_or_new(job: Job) -> SearchConfig | TrainConfig:
    """The settings of a run, set to resume what has been begun, which must be the run wanted."""
    wanted, folder = job.config, job.config.workdir
    if not files.is_run(folder):
        return wanted
    begun = run_folder.resumed(type(wanted), folder)
    # one dataset has several names, a genotype is compared below, and a bound chooses the channels
    differ = {"dataset", "genotype", *(["channels"] if getattr(wanted, "max_macs", None) else [])}
    then, now = ({**each.to_dict(), **dict.fromkeys(differ)} for each in (begun, wanted))
    run_folder.check_same_settings(folder / files.CONFIG, then, now)
    if job.genotype is not None and load_genotype(folder / files.GENOTYPE) != job.genotype:
        raise InputError(
            f"Expected {folder} to train the cell of {wanted.genotype}. Received: another genotype"
        )
    return begun


def _result(config: SearchConfig | TrainConfig, diverged: bool) -> dict[str, object]:
    """Returns the result and the cost of a finished run; accuracy 0 if it diverged."""
    genotype = load_genotype(config.workdir / files.GENOTYPE)
    found = {"genotype": dataclasses.asdict(genotype), "seconds": seconds_of(config.workdir)}
    if config.searches:
        accuracy = 0.0 if diverged else read_metrics(config.last_folder)[-1]["valid_accuracy"]
        return found | {"valid_accuracy": accuracy}
    if diverged:
        return found | {"valid_accuracy": 0.0, **_size(config, genotype)}
    metrics = read_metrics(config.workdir)[-1]
    if not config.validation_split:
        return found | {"test_error": 100 * (1 - metrics["test_accuracy"])}
    return found | {"valid_accuracy": metrics["valid_accuracy"], **_size(config, genotype)}


def _size(config: TrainConfig, genotype: Genotype) -> dict[str, int]:
    # late: all else here is files, and who waits for others needs no TensorFlow
    from darts_tf.data import Preprocessing
    from darts_tf.models.counting import genotype_costs

    classes, described = files.read_dataset(config.workdir / files.DATASET)
    images = Preprocessing.from_dict(described)
    trained = TrainConfig.from_dict(files.read_json(config.workdir / files.CONFIG))
    sizes = (trained.channels, config.cells, images.height, images.width)
    target = Target(*sizes, config.stem, len(classes), images.channels)
    costs = genotype_costs(target, genotype)
    return {name: sum(getattr(each, name) for each in costs) for name in ("params", "macs")}
