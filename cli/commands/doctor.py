"""`darts-tf doctor`: system information for a bug report, as text or as JSON."""

from __future__ import annotations

import contextlib
import json
import tempfile

from darts_tf.cli import startup
from darts_tf.configs import DoctorConfig
from darts_tf.runtime import diagnosis


def run(config: DoctorConfig) -> int:
    """Prints every section as soon as it is known, and continues after failures."""
    sections = diagnosis.sections(startup.users_environment())
    with contextlib.suppress(Exception):  # the probe of TensorFlow reports why it does not start
        startup.start_tensorflow()
    report = {}
    for title, probes in sections.items():
        if not config.json:
            print(title, flush=True)  # before its probes, since one may kill the process
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
    except OSError:  # there is no place for the buffer; the section on disks reports that
        return contextlib.nullcontext()
    return startup.held_stderr()
