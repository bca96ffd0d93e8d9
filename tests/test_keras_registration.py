"""Saved models in a new process that has imported only the package and Keras."""

from __future__ import annotations

import ast
import pathlib
import subprocess
import sys

import numpy as np
import pytest

import darts_tf
from darts_tf.keras_registration import PACKAGE, SAVED
from darts_tf.models.network import build_network
from darts_tf.models.recurrent_supernet import RecurrentSupernet
from darts_tf.models.supernet import Supernet
from darts_tf.spaces.zoo import GENOTYPES

ROOT = pathlib.Path(__file__).resolve().parents[1]

LOAD = """
import sys
{imports}
import numpy as np
assert not {{"darts_tf.models.network", "darts_tf.models.supernet"}} & set(sys.modules)
model = keras.saving.load_model(sys.argv[1])
np.save(sys.argv[2], model(np.ones((1, 8, 8, 3), "float32"), training=False))
"""


def loaded_output(folder, model, imports, program=LOAD):
    """Returns the model's output in a new process."""
    model.save(folder / "model.keras")
    program = program.format(imports=imports)
    command = [sys.executable, "-c", program, folder / "model.keras", folder / "output.npy"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return np.load(folder / "output.npy")


@pytest.mark.parametrize(
    "imports",
    [
        "import darts_tf, keras",
        pytest.param("import keras, darts_tf", marks=pytest.mark.slow),
        pytest.param("import darts_tf\nimport tensorflow\nimport keras", marks=pytest.mark.slow),
        pytest.param("import darts_tf.ops, keras", marks=pytest.mark.slow),
    ],
)
def test_saved_network_loads_in_a_new_process(tmp_path, imports):
    network = build_network(GENOTYPES["DARTS_V2"], 2, 3, 5, auxiliary=False)
    expected = network(np.ones((1, 8, 8, 3), np.float32), training=False)
    np.testing.assert_allclose(loaded_output(tmp_path, network, imports), expected, rtol=1e-5)


@pytest.mark.slow
def test_saved_supernet_loads_in_a_new_process(tmp_path):
    supernet = Supernet(2, 3, 5)
    expected = supernet(np.ones((1, 8, 8, 3), np.float32), training=False)
    actual = loaded_output(tmp_path, supernet, "import darts_tf, keras")
    np.testing.assert_allclose(actual, expected, rtol=1e-4)


@pytest.mark.slow
def test_saved_recurrent_supernet_loads_in_a_new_process(tmp_path):
    supernet = RecurrentSupernet(7, 4, nodes=2, hidden_dropout=0.25)
    tokens = np.ones((2, 3), np.int32)
    program = LOAD.replace('np.ones((1, 8, 8, 3), "float32")', 'np.ones((2, 3), "int32")')
    actual = loaded_output(tmp_path, supernet, "import darts_tf, keras", program)
    np.testing.assert_allclose(actual, supernet(tokens), rtol=1e-4)


def test_every_registered_class_has_a_stand_in():
    found = {}
    for path in (ROOT / PACKAGE).rglob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and any(
                "register_keras_serializable" in ast.unparse(line) for line in node.decorator_list
            ):
                found[node.name] = ".".join(path.relative_to(ROOT / PACKAGE).with_suffix("").parts)
    assert found == SAVED


def test_nothing_waits_for_keras_once_it_is_there():
    assert darts_tf.keras_registration
    assert not [f for f in sys.meta_path if type(f).__module__ == "darts_tf.keras_registration"]
