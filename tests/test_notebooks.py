"""The notebooks of the documentation run from start to end, and are stored without outputs."""

from __future__ import annotations

import json
import sys

import nbformat
import pytest
from docs_blocks import ROOT
from nbclient import NotebookClient

NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_stored_without_outputs(path):
    code = [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    """Environment in which kernels run the Python of the tests, without the user's settings."""
    folder = tmp_path_factory.mktemp("jupyter")
    spec = folder / "kernels" / "python3"
    spec.mkdir(parents=True)
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    described = {"argv": argv, "display_name": "Python 3", "language": "python"}
    (spec / "kernel.json").write_text(json.dumps(described))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JUPYTER_PATH", str(folder))
        patch.setenv("IPYTHONDIR", str(folder / "ipython"))
        patch.setenv("JUPYTER_RUNTIME_DIR", str(folder / "runtime"))
        patch.setenv("PYTHONPATH", str(ROOT))
        yield


@pytest.mark.usefixtures("kernel")
def test_photos_are_searched_trained_and_exported(tmp_path):
    notebook = nbformat.read(ROOT / "docs" / "notebooks" / "photos.ipynb", as_version=4)
    resources = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, timeout=300, resources=resources).execute()
    shown = [
        kind
        for cell in notebook.cells
        for output in cell.get("outputs", ())
        for kind in output.get("data", {})
    ]
    assert {"image/svg+xml", "text/markdown"} <= set(shown)
    assert shown.count("image/png") == 2  # the photos, and the curves
    printed = "".join(
        output.text
        for cell in notebook.cells
        for output in cell.get("outputs", ())
        if output.output_type == "stream"
    )
    assert "photos/box/0.png: " in printed
    assert "Traceback" not in printed
    assert (tmp_path / "runs/export-1/model_float32.tflite").is_file()
