"""Allowed imports between modules, read from the sources."""

from __future__ import annotations

import ast
import graphlib
import pathlib
import subprocess
import sys

import pytest
from importlinter.api import read_configuration

ROOT = pathlib.Path(__file__).resolve().parents[1]
PACKAGES = ("darts_tf", "export", "cli")
CONTRACTS = read_configuration(str(ROOT / "pyproject.toml"))["contracts_options"]

LIGHT = tuple(
    next(contract for contract in CONTRACTS if contract["name"].endswith("no TensorFlow"))[
        "source_modules"
    ]
)
"""Light rooms and modules, so that an invalid flag is reported at once."""

HEAVY = {"tensorflow", "keras", "keras_tuner", "tensorflow_datasets", "sklearn"}

SEARCH_CODE = ("darts_tf.search", "darts_tf.studies", "darts_tf.models.supernet")
"""Rooms and modules that an export must not depend on."""


def lies_in(module, places):
    """Returns whether a module is one of these, or lies in a room among them."""
    return any(module == place or module.startswith(f"{place}.") for place in places)


def module_name(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    parts = parts if parts[0] == "darts_tf" else ("darts_tf", *parts)  # as installed
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


SOURCES = {module_name(p): p for package in PACKAGES for p in (ROOT / package).rglob("*.py")}


def imported(path):
    """Returns the full names that a file imports anywhere: modules, or modules with a name."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def ours(name):
    """Returns the module of this package that a full name is or lies in, or None."""
    while name and name not in SOURCES:
        name = name.rpartition(".")[0]
    return name or None


IMPORTS = {
    module: {ours(name) for name in imported(path)} - {None} for module, path in SOURCES.items()
}


def reached(module):
    """Returns a module of this package and all that it imports, directly or not."""
    found, open_ends = set(), [module]
    while open_ends:
        name = open_ends.pop()
        if name not in found:
            found.add(name)
            open_ends += IMPORTS[name]
    return found


OUTSIDE = ("darts_tf.cli", "darts_tf.export")
"""Packages that are installed inside darts_tf, but are separate folders in the repository."""

LIBRARY = sorted(m for m in SOURCES if not lies_in(m, [*OUTSIDE, "darts_tf.jobs"]))
"""Modules of the library but for whole jobs, which export too."""


def test_rooms_import_what_their_contract_says():
    command = [pathlib.Path(sys.executable).with_name("lint-imports"), "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_package_itself_imports_little_until_asked():
    assert IMPORTS["darts_tf"] == {"darts_tf.keras_registration", "darts_tf.lazy"}


def test_light_modules_load_without_tensorflow():
    modules = ", ".join(sorted(module for module in SOURCES if lies_in(module, LIGHT)))
    code = f"import sys, {modules}; print(*set(sys.modules) & {HEAVY!r})"
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True
    )
    assert run.stdout.split() == []


def test_library_imports_neither_export_nor_cli():
    for module in LIBRARY:
        assert not any(lies_in(name, OUTSIDE) for name in IMPORTS[module]), module


def test_export_reaches_no_search_code_and_no_cli():
    for module in (m for m in SOURCES if lies_in(m, ["darts_tf.export"])):
        for name in reached(module):
            assert not lies_in(name, [*SEARCH_CODE, "darts_tf.cli"]), (module, name)


@pytest.mark.parametrize(
    "module", sorted(m for m in SOURCES if m.startswith("darts_tf.export.serving"))
)
def test_serving_reaches_no_network_and_no_keras(module):
    for name in reached(module) - {"darts_tf.export", "darts_tf"}:
        assert lies_in(name, [*LIGHT, "darts_tf.export.serving"]), name
        assert "keras" not in {outside.split(".")[0] for outside in imported(SOURCES[name])}, name


@pytest.mark.parametrize("name", ["client", "config", "errors", "folders"])
def test_light_part_of_serving_reaches_no_tensorflow(name):
    """The gRPC part of the client imports it later, on use."""
    code = f"import sys, darts_tf.export.serving.{name}; print(*set(sys.modules) & {HEAVY!r})"
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True
    )
    assert run.stdout.split() == []


def test_only_the_program_imports_cli():
    for module, names in IMPORTS.items():
        if not lies_in(module, ["darts_tf.cli"]):
            assert not any(lies_in(name, ["darts_tf.cli"]) for name in names), module


def test_only_the_program_imports_jobs():
    for module, names in IMPORTS.items():
        if not lies_in(module, ["darts_tf.cli", "darts_tf.jobs"]):
            assert not any(lies_in(name, ["darts_tf.jobs"]) for name in names), module
        elif lies_in(module, ["darts_tf.jobs"]):
            assert not any(lies_in(name, ["darts_tf.cli"]) for name in names), module


def test_cells_lie_between_primitives_and_networks():
    assert "darts_tf.layers.primitives" in IMPORTS["darts_tf.layers.cells"]
    for network in ("darts_tf.models.network", "darts_tf.models.supernet"):
        assert "darts_tf.layers.cells" in IMPORTS[network]
        assert network not in reached("darts_tf.layers.cells")


def test_imports_have_no_cycles():
    assert list(graphlib.TopologicalSorter(IMPORTS).static_order())
