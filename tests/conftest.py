"""Fixtures shared by all tests."""

from __future__ import annotations

import gc
import os
import pathlib
import random
import runpy
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np  # noqa: E402
import pytest  # noqa: E402
import tensorflow as tf  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parent.parent


PARTS = 4
"""Number of devices that the processor is divided into, for tests of `tf.distribute`."""

# a quarter of the time of tests that trace functions of their own; see `graph_optimizer`
tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
gc.set_threshold(100_000, 20, 100)
tf.config.threading.set_inter_op_parallelism_threads(4 * PARTS)
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * PARTS
)

LONGEST = (
    *("test_checkpointing_kills", "test_workers", "test_baseline", "test_commands"),
    *("test_distribution", "test_text", "test_notebooks"),
)
"""Test modules that take a quarter of a minute or more, or are the last ones."""


def pytest_collection_modifyitems(items):
    """Sorts the longest modules first, so that parallel processes end at about the same time."""
    items.sort(key=lambda item: item.path.stem not in LONGEST)


def pytest_collection_finish():
    """Exempts imported modules from collections of garbage, which exports and runs ask for."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item, nextitem):
    """Exempts what outlives a test module, too, since Keras and TensorFlow keep graphs in tables.

    Late collections in a process of many tests took up to 10 s each.
    """
    result = yield
    if nextitem is None or nextitem.path != item.path:
        gc.collect()
        gc.freeze()
    return result


@pytest.fixture(autouse=True, scope="module")
def _tensorflow_seeded():
    """Seeds TensorFlow once for a module: it drops all its eager kernels with every seed."""
    if "keras" in sys.modules:
        sys.modules["keras"].utils.set_random_seed(0)


@pytest.fixture(autouse=True)
def _seeded(_tensorflow_seeded):
    """Sets the same random state for every test; Keras draws the seeds of its layers from it."""
    random.seed(0)
    np.random.seed(0)


@pytest.fixture
def started(tmp_path):
    """A function that starts launches in a separate folder; see `launch_processes.starting`."""
    from launch_processes import starting

    with starting(tmp_path) as start:
        yield start


@pytest.fixture(scope="module")
def one_node():
    """Name of the space that `support/one_node_space.py` registers."""
    from darts_tf.register import forget

    runpy.run_path(str(ROOT / "tests" / "support" / "one_node_space.py"))
    yield "one_node"
    forget("space", "one_node")


@pytest.fixture
def graph_optimizer():
    """TensorFlow's graph optimizer is on within the test, as it is for users of `fit`."""
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": False})
    yield
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})


@pytest.fixture
def float64():
    """Makes layers and models of the test compute in float64."""
    from numerics import floatx

    with floatx("float64"):
        yield


@pytest.fixture(scope="session")
def exported(tmp_path_factory):
    """Export of a small network, which tests do not change; see `export_fixtures.small_export`."""
    from export_fixtures import small_export

    return small_export(tmp_path_factory.mktemp("export") / "new" / "model")


@pytest.fixture(scope="session")
def digits():
    """The embedded dataset."""
    from darts_tf.data import load_dataset

    return load_dataset("digits")


@pytest.fixture(scope="session")
def models(tmp_path_factory, digits):
    """A folder with a run, its export and three digits as PNG; and the run's network."""
    from export_fixtures import run_and_export

    folder = tmp_path_factory.mktemp("models")
    return folder, run_and_export(folder, digits)


@pytest.fixture(scope="session")
def text_models(tmp_path_factory):
    """A run on text, its export and model; see `text_export_fixtures.run_and_export_text`."""
    from text_export_fixtures import run_and_export_text

    return run_and_export_text(tmp_path_factory.mktemp("text_models"))


@pytest.fixture(scope="session")
def shared() -> pathlib.Path:
    """Folder of large reference data beside the repository; skips the test if it is absent."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip("needs the reference data folder ../shared beside the repository")
    return folder


def _golden_path(name, request):
    """Returns the path of a golden file, in the repository or in the shared folder."""
    from golden_data import FOLDER

    path = FOLDER / f"{name}.npz"
    return path if path.exists() else request.getfixturevalue("shared") / "golden" / path.name


@pytest.fixture
def golden_search(request):
    """Trainer in the state of a search's golden numbers; the parameter is the file name."""
    from golden_data import search_at

    search = search_at(_golden_path(request.param, request))
    search.reset()
    return search


@pytest.fixture
def golden_evaluation(request):
    """Golden numbers of an evaluation network; the parameter is the file name."""
    from golden_data import Golden

    return Golden(_golden_path(request.param, request))
