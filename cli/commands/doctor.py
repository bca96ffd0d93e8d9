"""`darts-tf doctor`: what matters for a bug report, as text to paste or as JSON."""

from __future__ import annotations

import contextlib
import json
import tempfile

from darts_tf.cli import startup

from darts_tf.configs import DoctorConfig
from darts_tf.runtime import diagnosis


def run(config: DoctorConfig) -> int:
    """Prints the lines of every section as soon as they are known; whatever fails, it goes on."""
    sections = diagnosis.sections()
    with contextlib.suppress(Exception):  # TensorFlow's own probe says why it does not start
        startup.start_tensorflow()
    report = {}
    for title, probes in sections.items():
        if not config.json:
            print(title, flush=True)  # before its probes: one may end the process
        with _held_stderr():
            report[title] = {line: diagnosis.attempted(probe) for line, probe in probes.items()}
        if not config.json:
            print(_text(report[title]), flush=True)
    if config.json:
        print(json.dumps(report, indent=2))
    return 0


def _text(lines: dict[str, str]) -> str:
    width = max(map(len, lines), default=0)
    rows = (f"  {name:<{width}}  {text}\n" for name, text in lines.items())
    return "".join(rows) or "  nothing is set\n"


def _held_stderr():
    try:
        tempfile.gettempdir()
    except OSError:  # nowhere to hold it, which the section on disks will say
        return contextlib.nullcontext()
    return startup.held_stderr()
