"""What all benchmarks share: the machine, memory, tables, and results as JSON."""

from __future__ import annotations

import json
import os
import pathlib
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from importlib import metadata

from rich.console import Console
from rich.table import Table

RESULTS = pathlib.Path(__file__).parent / "results"


def environment() -> dict:
    """Versions, processor and load: what a number cannot be read without."""
    packages = ("darts-tf", "tensorflow", "keras", "numpy")
    return {
        **{name: metadata.version(name) for name in packages},
        "python": platform.python_version(),
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "load_average": os.getloadavg(),
        "time": time.strftime("%Y-%m-%d %H:%M:%S"),
        "command": " ".join(["python", *sys.argv]),
    }


def _processor() -> str:
    path = pathlib.Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def peak_gigabytes() -> float:
    """The most memory that this process has held so far."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9


def seconds(function: Callable, *args, repeat: int = 7) -> float:
    """Median time of a call, after one that does not count."""
    function(*args)
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        function(*args)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def show(title: str, columns: Iterable[str], rows: Iterable[Iterable]) -> None:
    """Prints a table."""
    columns, rows = list(columns), list(rows)
    table = Table(title=title, title_justify="left")
    for i, column in enumerate(columns):
        table.add_column(column, justify="right" if i else "left")
    for row in rows:
        table.add_row(*(f"{cell:,.3g}" if isinstance(cell, float) else str(cell) for cell in row))
    Console(width=110).print(table)


def save(name: str, results) -> None:
    """Writes `results/NAME.json`, the machine beside the results."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps({"environment": environment(), "results": results}, indent=2) + "\n")
    print(f"{path}\n")


def in_process_of_its_own(script: str, *arguments) -> dict:
    """Runs a benchmark with `--json`, so that start and memory are its own."""
    path = pathlib.Path(__file__).parent / script
    command = [sys.executable, str(path), "--json", *map(str, arguments)]
    run = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(run.stdout.splitlines()[-1])
