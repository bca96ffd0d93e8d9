"""Fixtures shared by all tests."""

from __future__ import annotations

import gc
import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import pytest  # noqa: E402
import tensorflow as tf  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parent.parent


PARTS = 4
"""Devices that the processor is divided into, for tests of `tf.distribute`."""

tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
gc.set_threshold(100_000, 20, 100)
tf.config.threading.set_inter_op_parallelism_threads(4 * PARTS)
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * PARTS
)

LONGEST = ("test_checkpointing_kills", "test_distribution", "test_workers", "test_divergence")
"""Modules that take minutes."""


def pytest_collection_modifyitems(items):
    """The longest modules begin, so that processes which share the tests end together."""
    items.sort(key=lambda item: item.path.stem not in LONGEST)


@pytest.fixture(autouse=True)
def _seeded():
    """Every test starts from the same random state; those without Keras do not load it."""
    if "keras" in sys.modules:
        sys.modules["keras"].utils.set_random_seed(0)


@pytest.fixture
def started(tmp_path):
    """A function that starts launches in a folder of their own; see `launches.starting`."""
    from launch_processes import starting

    with starting(tmp_path) as start:
        yield start


@pytest.fixture(scope="module")
def one_node():
    """The name of a space with cells of one node, whose graphs are a fifth as large."""
    from darts_tf.register import forget, register_space

    register_space("one_node", nodes=1)
    yield "one_node"
    forget("space", "one_node")


@pytest.fixture
def float64():
    """Layers and models made in the test compute in float64."""
    from numerics import floatx

    with floatx("float64"):
        yield


@pytest.fixture(scope="session")
def exported(tmp_path_factory):
    """A small network's export; tests leave it as it is. See `exporting.small_export`."""
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
    """A run on text, its export, and the model; see `exporting_text.run_and_export_text`."""
    from text_export_fixtures import run_and_export_text

    return run_and_export_text(tmp_path_factory.mktemp("text_models"))


@pytest.fixture(scope="session")
def shared() -> pathlib.Path:
    """The folder of large reference data beside the repository; skips where it is absent."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip("needs the reference data folder ../shared beside the repository")
    return folder


def _golden_path(name, request):
    """From the copies in the repository, or from the shared folder."""
    from golden_data import FOLDER

    path = FOLDER / f"{name}.npz"
    return path if path.exists() else request.getfixturevalue("shared") / "golden" / path.name


@pytest.fixture
def golden_search(request):
    """A trainer at the point where the golden numbers of a search were taken, by file name."""
    from golden_data import search_at

    search = search_at(_golden_path(request.param, request))
    search.reset()
    return search


@pytest.fixture
def golden_evaluation(request):
    """The golden numbers of an evaluation network, by file name."""
    from golden_data import Golden

    return Golden(_golden_path(request.param, request))
