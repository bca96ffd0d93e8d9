"""The `darts-tf` program: parses the command and its config, runs it, and reports failures."""

from __future__ import annotations

import importlib
import os
import signal
import sys
import traceback
from collections.abc import Sequence

from darts_tf.errors import InputError, escaped, first_line, unknown_name

GROUPS = {
    "start": {
        "demo": ("DemoConfig", "search, train, test and export on digits, in a few minutes"),
    },
    "search for cells": {
        "search": ("SearchConfig", "search for cells, with exact or approximate gradients"),
        "derive": ("DeriveConfig", "choose other cells of a finished search, e.g. in a budget"),
        "select": ("SelectConfig", "search several times, train the best cell several times"),
        "baseline": ("BaselineConfig", "search for cells without a supernet, at the same cost"),
        "tune": ("TuneConfig", "tune settings of a search or a training"),
        "profile": ("ProfileConfig", "measure the latency of network parts, for budgets"),
    },
    "train and test": {
        "train": ("TrainConfig", "train the network of a genotype from scratch and test it"),
        "evaluate": ("EvaluateConfig", "test a trained network"),
        "compare": ("CompareConfig", "compare genotypes: size, cost and, if trained, accuracy"),
        "import": ("ImportConfig", "make a run from weights of the authors' PyTorch code"),
    },
    "look at": {
        "inspect": ("InspectConfig", "show a genotype's cells, parameters and multiply-adds"),
        "plot": ("PlotConfig", "draw the cells of a genotype or search, or animate a search"),
        "report": ("ReportConfig", "write an HTML report of one run or of several"),
        "board": ("BoardConfig", "show running and finished runs in TensorBoard"),
    },
    "use": {
        "export": ("ExportConfig", "write a trained network as SavedModel, TFLite, web page"),
        "predict": ("PredictConfig", "classify image files"),
        "sample": ("SampleConfig", "generate text with a language model"),
        "serve": ("ServeConfig", "serve an export over gRPC and REST, like TF Serving"),
    },
    "machine": {
        "launch": ("LaunchConfig", "search or train in several processes that share the work"),
        "doctor": ("DoctorConfig", "show system information for a bug report"),
        "completion": ("CompletionConfig", "print a script for completion with the Tab key"),
    },
}
"""Commands by heading of the help: the config that defines their flags, and a summary."""

COMMANDS = {name: entry for commands in GROUPS.values() for name, entry in commands.items()}
"""All commands (cli/commands/<name>.py)."""

SUMMARY = "Differentiable architecture search (DARTS) on TensorFlow."

START = (
    "To start, in a few minutes:  darts-tf demo",
    "With your own images:        darts-tf search --dataset FOLDER --workdir runs/a",
    "The flags of a command:      darts-tf help COMMAND",
    "The version:                 darts-tf --version",
)
"""Last lines of the help."""

JOBS = ("demo", "search", "train", "baseline", "tune", "compare", "select")
"""Long-running commands, which have --quiet and --json."""

START_LATER = ("board", "completion", "doctor", "plot", "predict", "report", "serve")
"""Commands that do not need TensorFlow, or start it only when they need it."""

DONE, FAILED, WRONG_USE = 0, 1, 2
DEBUG = "DARTS_TF_DEBUG"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns the exit status.

    0: success. 2: invalid arguments. 129: stopped by SIGHUP, 130: by Ctrl-C, 143: by SIGTERM.
    1: other failures. Every failure prints one line on stderr; with DARTS_TF_DEBUG=1 in the
    environment, a traceback is printed before it.
    """
    _prepare_streams()
    try:
        status = _run(list(sys.argv[1:] if argv is None else argv))
        sys.stdout.flush()
        return status
    except SystemExit as stop:
        return int(stop.code or DONE)
    except KeyboardInterrupt as stop:
        return _fail(128 + getattr(stop, "signal", signal.SIGINT), f"stopped{stop}")
    except BrokenPipeError:
        # the reader of our output is gone; keep the interpreter from flushing to it at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except InputError as error:
        return _fail(WRONG_USE, f"error: {error}")
    except Exception as error:
        hint = "" if os.environ.get(DEBUG) else f" ({DEBUG}=1 shows where)"
        return _fail(FAILED, f"failed: {type(error).__name__}: {first_line(error)}{hint}")


def _run(argv: list[str]) -> int:
    if not argv or argv[0] in ("-h", "--help", "--help-all", "help"):
        return _help(argv[1:])
    if argv and argv[0] == "--version":
        print(f"darts-tf {_version()}")
        return DONE
    if argv[0] not in COMMANDS:
        raise unknown_name("command", argv[0], COMMANDS)
    return _run_command(argv[0], argv[1:])


def _run_command(name: str, argv: list[str]) -> int:
    from darts_tf import configs, plugins
    from darts_tf.cli import arguments, lookup, output, startup
    from darts_tf.cli import options as cli_options

    startup.set_environment()
    if name == "launch":  # arguments after -- belong to another command
        return importlib.import_module("darts_tf.cli.commands.launch").main(argv)
    kind = common_of(name)
    options, remaining = arguments.common(kind, argv)
    output.set_mode(getattr(options, "mode", output.MODES[0]))
    for path in options.plugin:
        startup.load_plugin(path)
    config = arguments.parse(
        getattr(configs, COMMANDS[name][0]), remaining, f"darts-tf {name}", options.config, kind
    )
    if options.print_config:
        print(cli_options.as_json(config))
        return DONE
    config = lookup.checked(config)
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
    """Returns the class of a command's options beside those of its config."""
    from darts_tf.cli import options as cli_options

    return cli_options.CommonOfJobs if name in JOBS else cli_options.Common


def _check_plugins(config) -> None:
    from darts_tf import configs, plugins
    from darts_tf.runtime.distribution import make_strategy

    if isinstance(config, configs.RunConfig):  # devices must be configured before they are used
        make_strategy(config.strategy, config.devices)
    plugins.check_plugins()


def _is_on_text(config) -> bool:
    """Returns whether a command works with a language model."""
    from darts_tf import configs
    from darts_tf.runs import files

    folder = getattr(config, "workdir", None)
    if config.on_text or isinstance(config, configs.RunConfig) or folder is None:
        return config.on_text
    return files.is_text_run(folder)


def _kept(folder) -> str:
    """Returns the rest of the message for a run that was stopped outside its own handler."""
    from darts_tf.runs import checkpoints, files

    if not files.is_run(folder):
        return ""
    if checkpoints.newest(folder / files.CHECKPOINTS):
        return f"; {folder} is unchanged, and --resume continues from its last checkpoint"
    return f"; {folder} has no checkpoint yet, and --resume starts it"


def _fail(status: int, message: str) -> int:
    from darts_tf.cli import output

    if os.environ.get(DEBUG):
        traceback.print_exc()
    line = escaped(" ".join(message.split()))
    output.event("failure", status=status, text=line)
    print(f"darts-tf: {line}", file=sys.stderr)
    return status


def _help(argv: list[str]) -> int:
    """Prints the help of the program, or that of the command that is named."""
    if argv and not argv[0].startswith("-"):
        return _run([argv[0], "--help", *argv[1:]])
    lines = ["usage: darts-tf COMMAND [FLAGS]", "", f"{SUMMARY}", ""]
    for heading, commands in GROUPS.items():
        lines += [f"{heading}:", *(f"  {name:<12}{text}" for name, (_, text) in commands.items())]
        lines.append("")
    print("\n".join([*lines, *START]))
    return DONE


def _prepare_streams() -> None:
    """Makes standard output and error safe to print to, whatever they are.

    A closed one is replaced by the null device: a file that is opened later must not get its
    number. Characters that an encoding lacks are escaped.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        elif getattr(stream, "errors", "") in ("strict", "surrogateescape"):
            stream.reconfigure(errors="backslashreplace")


def _version() -> str:
    from importlib import metadata

    try:
        return metadata.version("darts-tf")
    except metadata.PackageNotFoundError:
        return "(not installed)"
