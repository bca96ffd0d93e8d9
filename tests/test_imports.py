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
    *("errors", "names", "parsing", "files", "validation", "spaces", "genotype", "presets"),
    *("registration", "schedules", "texts"),
    *("changes", "collapse", "history", "stopping"),
    *("notation", "zoo"),
    *("tables", "protocol_report", "setting_space"),
    *("configs", "runs", "beginning", "checkpoints", "launching", "state_dicts"),
    *("budgets", "parts", "costs", "constrained"),
    *("spending", "genotype_space"),
    *("palette", "layout", "svg", "gif", "sketches", "drawing", "pictures", "animation"),
    "searched",
    *("pages", "charts", "formulas", "moves", "heat_maps", "run_logs", "reproducing"),
    *(
        "report_tables",
        "report_facts",
        "report_words",
        "report_curves",
        "report_sections",
        "report",
    ),
    *("registered", "plugins", "search_spaces", "run_space", "selection_rules"),
)
"""Plain data and files: usable without TensorFlow, so that a wrong flag is told at once."""

HEAVY = {"tensorflow", "keras", "keras_tuner", "tensorflow_datasets", "sklearn"}

SEARCH_CODE = {
    f"darts_tf.{name}"
    for name in (
        *("gradients", "search", "searching", "supernet"),
        *("eigenvalues", "indicators", "mixing", "selecting", "settling", "watching"),
        *("language_search", "recurrent_supernet", "stages", "text_searching"),
    )
}

MAY_IMPORT = {
    "errors": (),
    "names": (),
    "files": (),
    "launching": (),
    "constants": (),
    "differentiation": (),
    "execution": (),
    "keeping": (),
    "presets": (),
    "registration": (),
    "xnnpack": (),
    "interruption": (),
    "parsing": ("names",),
    "registered": (),
    "plugins": ("names", "registered"),
    "validation": ("names", "registered"),
    "spaces": ("names", "registered"),
    "search_spaces": ("names", "registered", "spaces"),
    "run_space": ("names", "runs", "search_spaces", "spaces"),
    "selection_rules": ("genotype", "names", "registered", "spaces"),
    "extending": (
        *("configs", "genotype", "names", "own_estimators", "own_primitives", "parts", "plugins"),
        *("registered", "search_spaces", "spaces", "texts"),
    ),
    "own_primitives": ("names", "operation", "ops"),
    "own_estimators": ("names",),
    "texts": ("registered",),
    "models": ("names",),
    "losses": ("differentiation", "distribution"),
    "compiled": ("differentiation",),
    "averages": ("distribution",),
    "bilinear": ("differentiation", "keeping"),
    "moments": ("constants", "differentiation", "keeping"),
    "ops": ("constants", "differentiation", "xnnpack"),
    "genotype": ("files", "names", "parsing", "spaces"),
    "derivation": ("genotype", "spaces"),
    "changes": ("genotype", "spaces"),
    "collapse": ("genotype", "spaces"),
    "stopping": (),
    "history": ("names", "runs"),
    "mixing": ("genotype", "normalization", "spaces"),
    "eigenvalues": ("differentiation",),
    "indicators": ("collapse", "eigenvalues", "mixing", "runs"),
    "notation": ("genotype", "names", "parsing", "spaces"),
    "budgets": ("names",),
    "parts": ("genotype", "spaces"),
    "costs": ("genotype", "names", "parts", "spaces"),
    "constrained": ("budgets", "costs", "derivation", "genotype", "spaces"),
    "analytic": ("cells", "costs", "counting", "heads", "ops", "parts", "primitives", "stems"),
    "cost_penalty": ("costs", "spaces"),
    "latency_table": ("costs", "diagnosis", "names", "parts", "runs"),
    "targets": (
        *("analytic", "budgets", "configs", "constrained", "costs", "derivation", "genotype"),
        *("latency_table", "parts", "search_spaces", "spaces", "stems"),
    ),
    "zoo": ("genotype", "names", "notation", "spaces"),
    "spending": ("names",),
    "setting_space": ("names",),
    "genotype_space": ("genotype", "spaces"),
    "oracles": ("files", "spending"),
    "heartbeats": (),
    "chief": ("heartbeats", "names", "oracles"),
    "studies": (
        *("beginning", "chief", "configs", "files", "interruption", "oracles", "runs", "spending"),
        "stopping",
    ),
    "hparams": (),
    "event_files": ("files",),
    "heat_images": ("derivation", "spaces"),
    "dashboard": (
        *(
            "beginning",
            "changes",
            "event_files",
            "heat_images",
            "hparams",
            "pictures",
            "runs",
            "zoo",
        ),
    ),
    "baseline": (
        "configs",
        "data",
        "genotype",
        "genotype_space",
        "oracles",
        "runs",
        "studies",
        "training",
    ),
    "tuning": (
        *("configs", "data", "hparams", "oracles", "runs", "stages", "setting_space"),
        *("studies", "texts", "training", "zoo"),
    ),
    "significance": (),
    "methods": ("configs", "names", "presets", "setting_space"),
    "method_tables": ("runs", "significance", "tables"),
    "comparing_methods": (
        *("beginning", "collapse", "comparing", "configs", "data", "files", "genotype"),
        *("interruption", "method_tables", "methods", "presets", "runs", "scaling", "spending"),
        *("zoo",),
    ),
    "configs": (
        *("budgets", "configs", "names", "presets", "registered", "search_spaces"),
        *("setting_space", "spending", "validation"),
    ),
    "runs": ("files", "names", "parsing"),
    "filters": ("bilinear", "constants", "ops", "xnnpack"),
    "products": ("bilinear", "constants", "ops"),
    "pooling": ("constants", "differentiation", "ops", "xnnpack"),
    "counting": ("formulas", "language_model", "spaces"),
    "distribution": ("execution", "parsing"),
    "checkpoints": ("files", "names", "parsing"),
    "data": ("data", "names", "parsing", "registered", "texts"),
    "gradients": ("differentiation", "distribution", "registered"),
    "normalization": ("constants", "distribution", "moments"),
    "optimizers": ("constants", "distribution"),
    "callbacks": ("dashboard", "distribution", "history", "runs", "schedules", "stopping"),
    "watching": ("callbacks", "collapse", "history", "indicators", "runs", "stopping"),
    "perturbation": ("genotype", "spaces"),
    "settling": (
        *("configs", "data", "distribution", "execution", "fitting", "mixing", "optimizers"),
        *("schedules", "trainer"),
    ),
    "selecting": (
        *("beginning", "checkpoints", "configs", "data", "distribution", "execution", "fitting"),
        *("genotype", "mixing", "perturbation", "runs", "trainer", "settling"),
    ),
    "schedules": (),
    "relaxations": (),
    "smoothing": (),
    "regularizers": (),
    "beginning": ("files", "names", "runs"),
    "operation": ("normalization", "ops"),
    "sharing": ("constants", "differentiation", "keeping", "normalization"),
    "stems": ("normalization", "ops"),
    "heads": ("normalization", "ops"),
    "dropout": ("distribution",),
    "recurrence": ("differentiation", "keeping"),
    "recurrent_cells": (
        *("bilinear", "dropout", "genotype", "normalization", "recurrence", "xnnpack"),
    ),
    "mixed_recurrent_cell": (
        *("compiled", "normalization", "recurrence", "recurrent_cells", "spaces"),
    ),
    "language_model": ("differentiation", "dropout", "genotype", "models", "recurrent_cells"),
    "recurrent_supernet": (
        *("derivation", "genotype", "language_model", "mixed_recurrent_cell", "spaces"),
    ),
    "language_streams": ("constants", "distribution", "trainer"),
    "language_trainer": ("averages", "distribution", "language_streams", "trainer"),
    "language_search": ("language_streams", "search"),
    "trainer": ("distribution", "losses", "normalization", "optimizers"),
    "convolutions": ("filters", "operation", "ops", "products"),
    "search": (
        *("constants", "differentiation", "distribution", "gradients", "losses"),
        *("normalization", "optimizers", "regularizers", "trainer"),
    ),
    "keeper": ("beginning", "checkpoints", "distribution", "interruption", "trainer"),
    "primitives": ("convolutions", "operation", "pooling", "registered"),
    "fitting": (
        *("beginning", "checkpoints", "data", "distribution", "execution", "genotype"),
        *("interruption", "keeper", "run_logs", "runs", "trainer"),
    ),
    "mixed_op": (
        *("constants", "dropout", "operation", "ops", "pooling", "primitives", "products"),
    ),
    "pruned_mixed_op": ("mixed_op", "operation", "primitives", "products"),
    "cells": (
        *("convolutions", "mixed_op", "normalization", "operation", "ops", "primitives"),
        *("pruned_mixed_op", "sharing", "spaces"),
    ),
    "network": ("cells", "dropout", "genotype", "heads", "models", "spaces", "stems"),
    "supernet": (
        *("cells", "derivation", "dropout", "heads", "mixing", "normalization", "relaxations"),
        *("sharing", "smoothing", "spaces", "stems"),
    ),
    "activations": ("network", "primitives"),
    "scaling": ("counting", "genotype", "network", "stems"),
    "preflight": ("configs", "execution", "names", "ops", "search_spaces", "spaces"),
    "diagnosis": ("distribution", "execution", "names", "parsing", "preflight"),
    "reference": (
        *("convolutions", "language_model", "mixed_recurrent_cell", "network", "primitives"),
        *("supernet",),
    ),
    "network_trainer": (
        *("averages", "configs", "execution", "genotype", "network", "optimizers", "trainer"),
    ),
    "state_dicts": ("names",),
    "importing": (
        *("beginning", "configs", "data", "files", "genotype", "importing_text", "names"),
        *("network", "reference", "runs", "state_dicts", "texts", "zoo"),
    ),
    "importing_text": ("configs", "data", "genotype", "language_model", "names", "zoo"),
    "searching": (
        *("callbacks", "configs", "cost_penalty", "data", "distribution", "eigenvalues"),
        *(
            "execution",
            "fitting",
            "genotype",
            "indicators",
            "mixing",
            "names",
            "optimizers",
            "preflight",
        ),
        *("registered", "run_space", "runs", "schedules", "search", "search_spaces", "selecting"),
        *("selection_rules", "settling", "stems", "supernet", "targets", "watching"),
    ),
    "stages": (
        *("beginning", "configs", "data", "derivation", "distribution", "genotype"),
        *("interruption", "runs", "search_spaces", "searching"),
    ),
    "comparing": (
        *("beginning", "configs", "counting", "data", "files", "genotype", "names", "network"),
        *("runs", "scaling", "stems", "tables", "zoo"),
    ),
    "protocol": (
        *(
            "beginning",
            "configs",
            "counting",
            "data",
            "files",
            "genotype",
            "interruption",
            "names",
            "network",
        ),
        *("protocol_report", "runs", "texts", "zoo"),
    ),
    "protocol_report": ("collapse", "configs", "files", "genotype", "names", "runs", "tables"),
    "tables": ("runs", "zoo"),
    "pages": (),
    "charts": ("pages",),
    "formulas": ("costs", "genotype", "parts", "spaces"),
    "palette": (),
    "layout": (),
    "svg": (),
    "gif": (),
    "sketches": ("derivation", "genotype", "names", "palette", "spaces"),
    "drawing": ("layout", "palette", "sketches", "spaces", "svg"),
    "pictures": (*("drawing", "genotype", "gif", "names", "palette", "sketches", "svg", "zoo"),),
    "animation": ("drawing", "gif", "names", "pictures", "sketches", "svg"),
    "searched": ("derivation", "genotype", "names", "run_space", "runs", "zoo"),
    "moves": ("derivation", "history", "names", "run_space", "runs", "spaces"),
    "heat_maps": ("charts", "moves", "pages"),
    "run_logs": ("names", "runs"),
    "reproducing": ("configs", "names"),
    "report_tables": (
        *("charts", "collapse", "configs", "genotype", "names", "parsing", "protocol_report"),
        *("run_logs", "runs", "tables"),
    ),
    "report_facts": (
        *("configs", "formulas", "genotype", "moves", "names", "parts", "presets"),
        *("report_tables", "reproducing", "run_logs", "runs", "stopping", "zoo"),
    ),
    "report_words": ("charts", "collapse", "configs", "genotype", "report_facts", "runs"),
    "report_curves": ("charts", "pages"),
    "report_cells": ("genotype", "heat_maps", "pages", "pictures", "spaces"),
    "report_sections": (
        *("charts", "heat_maps", "pages", "report_cells", "report_curves", "report_facts"),
        *("report_tables", "report_words", "reproducing"),
    ),
    "report": (
        *("files", "pages", "report_curves", "report_facts", "report_sections", "report_tables"),
        *("report_words", "reproducing", "runs"),
    ),
    "text_feeding": ("configs", "data", "fitting"),
    "text_searching": (
        *("callbacks", "configs", "data", "distribution", "eigenvalues", "execution"),
        *("fitting", "genotype", "indicators", "language_search", "losses", "optimizers"),
        *("recurrent_supernet", "searching", "text_feeding", "watching"),
    ),
    "text_training": (
        *("callbacks", "configs", "data", "distribution", "execution", "files", "fitting"),
        *("genotype", "language_model", "language_trainer", "losses", "optimizers", "runs"),
        *("text_feeding",),
    ),
    "training": (
        *("callbacks", "configs", "data", "distribution", "files", "fitting", "genotype"),
        *("network", "network_trainer", "runs", "scaling", "schedules", "stems"),
    ),
}
"""Rows of the table: a module of the library, and what of it beside `errors` it may import."""


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


def row_of(module):
    """The table's row for a module of the library: `data` for everything in that package."""
    return module.split(".")[1] if "." in module else None


LIBRARY = sorted(m for m in SOURCES if m.startswith("darts_tf."))


@pytest.mark.parametrize("module", LIBRARY)
def test_library_module_imports_what_the_table_says(module):
    row = row_of(module)
    assert row in MAY_IMPORT, f"{module} needs a row in MAY_IMPORT"
    inside = {row_of(name) for name in IMPORTS[module] if name.startswith("darts_tf")}
    assert inside <= {"errors", *MAY_IMPORT[row]}


def test_table_has_no_row_without_a_module():
    assert set(MAY_IMPORT) == {row_of(module) for module in LIBRARY}


def test_package_itself_imports_little_until_asked():
    assert IMPORTS["darts_tf"] == {"darts_tf.registration"}


@pytest.mark.parametrize("name", LIGHT)
def test_light_module_reaches_no_tensorflow(name):
    for module in reached(f"darts_tf.{name}"):
        outside = {imported_name.split(".")[0] for imported_name in imported(SOURCES[module])}
        assert not outside & HEAVY, module


def test_light_modules_load_without_tensorflow():
    modules = ", ".join(f"darts_tf.{name}" for name in LIGHT)
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


SERVED = {f"darts_tf.{name}" for name in (*LIGHT, "interruption")}
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
    assert "darts_tf.primitives" in IMPORTS["darts_tf.cells"]
    for network in ("darts_tf.network", "darts_tf.supernet"):
        assert "darts_tf.cells" in IMPORTS[network]
        assert network not in reached("darts_tf.cells")


def test_imports_have_no_cycles():
    assert list(graphlib.TopologicalSorter(IMPORTS).static_order())
