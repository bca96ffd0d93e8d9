"""Who may import whom, read from the sources."""

from __future__ import annotations

import ast
import graphlib
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
PACKAGES = ("darts_tf", "export", "cli")

LIGHT = (
    "darts_tf.errors",
    "darts_tf.errors",
    "darts_tf.runtime.strict_json",
    "darts_tf.runtime.atomic",
    "darts_tf.configs.base",
    "darts_tf.spaces",
    "darts_tf.spaces.genotype",
    "darts_tf.configs.presets",
    "darts_tf.keras_registration",
    "darts_tf.training.schedules",
    "darts_tf.configs.text_datasets",
    "darts_tf.spaces.difference",
    "darts_tf.spaces.collapse",
    "darts_tf.runs.alphas",
    "darts_tf.search.early_stopping",
    "darts_tf.spaces.notation",
    "darts_tf.spaces.zoo",
    "darts_tf.studies.tables",
    "darts_tf.studies.protocol_report",
    "darts_tf.configs.ranges",
    "darts_tf.configs",
    "darts_tf.runs",
    "darts_tf.runs.folder",
    "darts_tf.runs.checkpoints",
    "darts_tf.runtime.processes",
    "darts_tf.models.state_dicts",
    "darts_tf.configs.budgets",
    "darts_tf.costs.parts",
    "darts_tf.costs",
    "darts_tf.costs.pareto",
    "darts_tf.configs.budgets",
    "darts_tf.spaces.mutation",
    "darts_tf.plots.palette",
    "darts_tf.plots.layout",
    "darts_tf.plots.svg",
    "darts_tf.plots.gif",
    "darts_tf.plots.sketches",
    "darts_tf.plots.drawing",
    "darts_tf.plots.figures",
    "darts_tf.plots.films",
    "darts_tf.runs.alphas",
    "darts_tf.report.html",
    "darts_tf.report.charts",
    "darts_tf.costs.formulas",
    "darts_tf.report.alpha_maps",
    "darts_tf.report.alpha_maps",
    "darts_tf.runs.log",
    "darts_tf.report.reproduce",
    "darts_tf.report.job_tables",
    "darts_tf.report.run",
    "darts_tf.report.findings",
    "darts_tf.report.curves",
    "darts_tf.report.sections",
    "darts_tf.report",
    "darts_tf.registry",
    "darts_tf.plugins",
    "darts_tf.spaces.search_spaces",
    "darts_tf.runs.alphas",
    "darts_tf.search.selection_rules",
)
"""Plain data and files: usable without TensorFlow, so that a wrong flag is told at once."""

HEAVY = {"tensorflow", "keras", "keras_tuner", "tensorflow_datasets", "sklearn"}

SEARCH_CODE = {
    "darts_tf.search.estimators",
    "darts_tf.search",
    "darts_tf.search.images",
    "darts_tf.models.supernet",
    "darts_tf.search.eigenvalues",
    "darts_tf.search.indicators",
    "darts_tf.models.mixture",
    "darts_tf.search.perturbation_selection",
    "darts_tf.search.callbacks",
    "darts_tf.search.language_darts",
    "darts_tf.models.recurrent_supernet",
    "darts_tf.search.stages",
    "darts_tf.search.text",
}


def module_name(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


SOURCES = {module_name(p): p for package in PACKAGES for p in (ROOT / package).rglob("*.py")}


def imported(path):
    """Full names of what a file imports anywhere in it: modules, or modules with a name."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def ours(name):
    """The module of ours that a full name is or lies in; None for others'."""
    while name and name not in SOURCES:
        name = name.rpartition(".")[0]
    return name or None


IMPORTS = {
    module: {ours(name) for name in imported(path)} - {None} for module, path in SOURCES.items()
}


def reached(module):
    """A module of ours and all that it imports, directly or not."""
    found, open_ends = set(), [module]
    while open_ends:
        name = open_ends.pop()
        if name not in found:
            found.add(name)
            open_ends += IMPORTS[name]
    return found


LIBRARY = sorted(m for m in SOURCES if m.startswith("darts_tf."))


def test_package_itself_imports_little_until_asked():
    assert IMPORTS["darts_tf"] == {"darts_tf.keras_registration"}


@pytest.mark.parametrize("name", LIGHT)
def test_light_module_reaches_no_tensorflow(name):
    for module in reached(name):
        outside = {imported_name.split(".")[0] for imported_name in imported(SOURCES[module])}
        assert not outside & HEAVY, module


def test_light_modules_load_without_tensorflow():
    modules = ", ".join(LIGHT)
    code = f"import sys, {modules}; print(*set(sys.modules) & {HEAVY!r})"
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True
    )
    assert run.stdout.split() == []


def test_library_imports_neither_export_nor_cli():
    for module in ("darts_tf", *LIBRARY):
        assert {name.split(".")[0] for name in IMPORTS[module]} <= {"darts_tf"}, module


def test_export_reaches_no_search_code_and_no_cli():
    for module in (m for m in SOURCES if m.split(".")[0] == "export"):
        assert not reached(module) & SEARCH_CODE, module
        assert "cli" not in {name.split(".")[0] for name in reached(module)}, module


SERVED = {*LIGHT, "darts_tf.runtime.signals"}
"""What serving may use of the library: a server loads SavedModels alone."""


@pytest.mark.parametrize("module", sorted(m for m in SOURCES if m.startswith("export.serving")))
def test_serving_reaches_no_network_and_no_keras(module):
    for name in reached(module) - {"export", "darts_tf"}:
        if not name.startswith("export.serving"):
            assert any(name == s or name.startswith(f"{s}.") for s in SERVED), name
        assert "keras" not in {outside.split(".")[0] for outside in imported(SOURCES[name])}, name


@pytest.mark.parametrize("name", ["client", "config", "errors", "folders"])
def test_light_part_of_serving_reaches_no_tensorflow(name):
    """At once, that is: the client's gRPC half imports it when it is wanted."""
    code = f"import sys, export.serving.{name}; print(*set(sys.modules) & {HEAVY!r})"
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True
    )
    assert run.stdout.split() == []


def test_only_the_program_imports_cli():
    for module, names in IMPORTS.items():
        if module.split(".")[0] != "cli":
            assert not any(name.split(".")[0] == "cli" for name in names), module


def test_cells_lie_between_primitives_and_networks():
    assert "darts_tf.layers.primitives" in IMPORTS["darts_tf.layers.cells"]
    for network in ("darts_tf.models.network", "darts_tf.models.supernet"):
        assert "darts_tf.layers.cells" in IMPORTS[network]
        assert network not in reached("darts_tf.layers.cells")


def test_imports_have_no_cycles():
    assert list(graphlib.TopologicalSorter(IMPORTS).static_order())
