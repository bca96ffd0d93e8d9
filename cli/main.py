"""The `darts-tf` program: finds the command, makes its config, runs it, and reports failure."""

from __future__ import annotations

import importlib
import os
import signal
import sys
import traceback
from collections.abc import Sequence

from darts_tf.errors import InputError, first_line, unknown_name

COMMANDS = {
    "demo": ("DemoConfig", "all of the following on handwritten digits, in a few minutes"),
    "search": ("SearchConfig", "search for cells, exactly or by approximation"),
    "train": ("TrainConfig", "train the network of a genotype from scratch and test it"),
    "baseline": ("BaselineConfig", "look for cells without a supernet, at a search's cost"),
    "tune": ("TuneConfig", "look for good settings of a search or a training"),
    "derive": ("DeriveConfig", "choose a finished search's cells anew, as within a budget"),
    "profile": ("ProfileConfig", "measure the parts of networks, for budgets of latency"),
    "import": ("ImportConfig", "make a run of weights that the authors' PyTorch code has trained"),
    "compare": ("CompareConfig", "a table of genotypes: size, cost and, if asked, test errors"),
    "select": ("SelectConfig", "several searches, the best cell of them, trained several times"),
    "plot": ("PlotConfig", "draw cells, of a genotype or a search, or a film of a search"),
    "report": ("ReportConfig", "one page of a run, or of several side by side"),
    "board": ("BoardConfig", "show runs in TensorBoard, while they go on or later"),
    "evaluate": ("EvaluateConfig", "test a trained network"),
    "export": ("ExportConfig", "write a trained network as SavedModel, TFLite, web page"),
    "predict": ("PredictConfig", "classify image files"),
    "sample": ("SampleConfig", "write text that a language model makes"),
    "serve": ("ServeConfig", "answer requests over gRPC and REST, as TensorFlow Serving does"),
    "inspect": ("InspectConfig", "show a genotype's cells, parameters and multiply-adds"),
    "launch": ("LaunchConfig", "search or train in several processes that share the work"),
    "doctor": ("DoctorConfig", "show what matters for a bug report"),
    "completion": ("CompletionConfig", "make a shell complete commands and flags at the Tab key"),
}
"""Every command (cli/commands/<name>.py): the config its flags come from, and what it does."""

JOBS = ("demo", "search", "train", "baseline", "tune", "compare", "select")
"""Commands that take long, and therefore have --quiet and --json."""

START_LATER = ("board", "completion", "doctor", "plot", "predict", "report", "serve")
"""Commands that work without TensorFlow, or start it when they know that they need it."""

DONE, FAILED, WRONG_USE = 0, 1, 2
DEBUG = "DARTS_TF_DEBUG"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns the exit status.

    0: done. 2: wrong use. 130: stopped by Ctrl-C, 143: by SIGTERM. 1: anything else. Every failure
    is one line on stderr; with DARTS_TF_DEBUG=1 in the environment, a traceback comes before it.
    """
    try:
        status = _run(list(sys.argv[1:] if argv is None else argv))
        sys.stdout.flush()
        return status
    except SystemExit as stop:
        return int(stop.code or DONE)
    except KeyboardInterrupt as stop:
        return _fail(128 + getattr(stop, "signal", signal.SIGINT), f"stopped{stop}")
    except BrokenPipeError:
        # the reader of our output went away; leave nothing for the interpreter to flush at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except InputError as error:
        return _fail(WRONG_USE, f"error: {error}")
    except Exception as error:
        hint = "" if os.environ.get(DEBUG) else f" ({DEBUG}=1 shows where)"
        return _fail(FAILED, f"failed: {type(error).__name__}: {first_line(error)}{hint}")


def _run(argv: list[str]) -> int:
    if argv and argv[0] in ("-h", "--help"):
        print(_help())
        return DONE
    if argv and argv[0] == "--version":
        print(f"darts-tf {_version()}")
        return DONE
    if not argv:
        raise InputError(f"Expected a command: {', '.join(COMMANDS)}. Received: none")
    if argv[0] not in COMMANDS:
        raise unknown_name("command", argv[0], COMMANDS)
    return _run_command(argv[0], argv[1:])


def _run_command(name: str, argv: list[str]) -> int:
    from darts_tf.cli import arguments, output, startup
    from darts_tf.cli import options as cli_options

    from darts_tf import configs, plugins

    if name == "launch":  # the words after its -- are another command's
        return importlib.import_module("darts_tf.cli.commands.launch").main(argv)
    kind = common_of(name)
    options, left = arguments.common(kind, argv)
    output.set_mode(getattr(options, "mode", output.MODES[0]))
    for path in options.plugin:
        startup.load_plugin(path)
    config = arguments.parse(
        getattr(configs, COMMANDS[name][0]), left, f"darts-tf {name}", options.config, kind
    )
    if options.print_config:
        print(cli_options.as_json(config))
        return DONE
    try:
        if name not in START_LATER:
            startup.start_tensorflow(_is_on_text(config))
        with output.reserved(), startup.logged():
            if name not in START_LATER and plugins.waiting():
                _check_plugins(config)
            return importlib.import_module(f"darts_tf.cli.commands.{name}").run(config)
    except KeyboardInterrupt as stop:
        if stop.args or not hasattr(config, "resume"):
            raise
        raise KeyboardInterrupt(_kept(config.workdir)) from None


def common_of(name: str) -> type:
    """The options of a command beside those of its config."""
    from darts_tf.cli import options as cli_options

    return cli_options.CommonOfJobs if name in JOBS else cli_options.Common


def _check_plugins(config) -> None:
    from darts_tf import configs, plugins
    from darts_tf.runtime.distribution import make_strategy

    if isinstance(config, configs.RunConfig):  # devices are divided before anything runs on them
        make_strategy(config.strategy, config.devices)
    plugins.check_plugins()


def _is_on_text(config) -> bool:
    """Whether a command's work is that of a language model."""
    from darts_tf import configs
    from darts_tf.runs import files

    folder = getattr(config, "workdir", None)
    if config.on_text or isinstance(config, configs.RunConfig) or folder is None:
        return config.on_text
    return files.is_text_run(folder)


def _kept(folder) -> str:
    """What a run is left with that was stopped while it did not look after that itself."""
    from darts_tf.runs import checkpoints, files

    if not files.is_run(folder):
        return ""
    if checkpoints.newest(folder / files.CHECKPOINTS):
        return f"; {folder} is as it was, and --resume goes on from its last checkpoint"
    return f"; {folder} has no checkpoint yet, and --resume starts it"


def _fail(status: int, message: str) -> int:
    from darts_tf.cli import output

    if os.environ.get(DEBUG):
        traceback.print_exc()
    line = " ".join(message.split())
    output.event("failure", status=status, text=line)
    print(f"darts-tf: {line}", file=sys.stderr)
    return status


def _help() -> str:
    commands = "\n".join(f"  {name:<12}{text}" for name, (_, text) in COMMANDS.items())
    return f"""usage: darts-tf COMMAND [--help] [OPTIONS]

Differentiable architecture search on TensorFlow.

commands:
{commands}

options:
  --help    this text; after a command, its options
  --version the version

To start: darts-tf demo
"""


def _version() -> str:
    from importlib import metadata

    try:
        return metadata.version("darts-tf")
    except metadata.PackageNotFoundError:
        return "(not installed)"
