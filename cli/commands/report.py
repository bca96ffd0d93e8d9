"""`darts-tf report`: an HTML report of one or more runs."""

from __future__ import annotations

from darts_tf.cli import output
from darts_tf.configs import ReportConfig
from darts_tf.report.page import write_report


def run(config: ReportConfig) -> int:
    """Writes the page, and prints its path."""
    output.result(f"report: {write_report(config.runs, config.output, config.export)}")
    return 0
