"""Files of weights: arrays of each format are read back, other content is refused and not run."""

from __future__ import annotations

import collections
import contextlib
import io
import json
import logging
import os
import pathlib
import pickle
import sys
import types

import numpy as np
import pytest
from audit_reader import fuzz
from damaged_bytes import hostile_arrays

from darts_tf.errors import InputError
from darts_tf.models.state_dicts import READERS, WRAPPERS, read_state_dict

STATE = {
    "stem.0.weight": np.arange(24, dtype=np.float32).reshape(2, 3, 2, 2),
    "stem.1.running_var": np.array([0.5, 2.0]),
    "stem.1.num_batches_tracked": np.array(7),
}


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


def tensors(torch, state=STATE):
    return collections.OrderedDict((k, torch.from_numpy(v)) for k, v in state.items())


def assert_same(actual, expected=STATE):
    assert actual.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(actual[name], array)
        assert actual[name].shape == array.shape


def refused(path) -> str:
    with pytest.raises(InputError) as raised:
        read_state_dict(path)
    message = str(raised.value)
    assert "xpected " in message
    assert len(message.splitlines()) == 1
    return message


class Command:
    """Object that runs a command when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


# NumPy and safetensors


def test_npz_comes_back(tmp_path):
    np.savez(tmp_path / "weights.npz", **STATE)
    assert_same(read_state_dict(tmp_path / "weights.npz"))


def test_safetensors_come_back(tmp_path):
    pytest.importorskip("safetensors.numpy").save_file(STATE, tmp_path / "w.safetensors")
    assert_same(read_state_dict(tmp_path / "w.safetensors"))


def test_pickled_arrays_are_refused_and_not_run(tmp_path):
    arrays = {"a": np.array([Command(tmp_path / "pwned")], object)}
    np.savez(tmp_path / "weights.npz", **arrays)
    assert "allow_pickle" in refused(tmp_path / "weights.npz")
    assert not (tmp_path / "pwned").exists()


# PyTorch


@pytest.mark.parametrize("zipped", [True, False])
def test_state_dict_of_pytorch_comes_back(torch, tmp_path, zipped):
    """Reads the current format, and that before PyTorch 1.6, which the authors' files have."""
    path = tmp_path / "weights.pt"
    torch.save(tensors(torch), path, _use_new_zipfile_serialization=zipped)
    assert_same(read_state_dict(path))


def test_checkpoint_of_data_parallel_is_unwrapped(torch, tmp_path):
    state = {f"module.{name}": value for name, value in tensors(torch).items()}
    torch.save({"epoch": 3, "state_dict": state, "best": 0.7}, tmp_path / "best.pth.tar")
    assert_same(read_state_dict(tmp_path / "best.pth.tar"))


def test_half_precision_and_parameters_of_pytorch_come_back(torch, tmp_path):
    weight = torch.nn.Parameter(torch.tensor([1.5, -2.0], dtype=torch.bfloat16))
    torch.save({"a": weight, "b": torch.tensor([0.25], dtype=torch.float16)}, tmp_path / "w.pth")
    expected = {"a": np.array([1.5, -2.0]), "b": np.array([0.25])}
    assert_same(read_state_dict(tmp_path / "w.pth"), expected)


@pytest.mark.parametrize("zipped", [True, False])
def test_malicious_checkpoint_is_refused_and_not_run(torch, tmp_path, zipped):
    path = tmp_path / "weights.pt"
    stored = {"state_dict": tensors(torch), "extra": Command(tmp_path / "pwned")}
    torch.save(stored, path, _use_new_zipfile_serialization=zipped)
    assert "arrays by name, nothing else" in refused(path)
    assert not (tmp_path / "pwned").exists()


def test_malicious_pickle_is_refused_and_not_run(torch, tmp_path):
    (tmp_path / "weights.pt").write_bytes(pickle.dumps(Command(tmp_path / "pwned")))
    refused(tmp_path / "weights.pt")
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda torch: [1, 2], r"arrays by name. Received: \[1, 2\]"),
        (lambda torch: {}, "arrays by name. Received"),
        (lambda torch: {"a": 3}, "Received: a, int"),
        (lambda torch: {"a": "text"}, "Received: a, str"),
        (lambda torch: {3: torch.zeros(2)}, "names that are texts. Received: 3"),
        (lambda torch: {"a": torch.tensor([1.0, float("nan")])}, "finite numbers.*in a"),
        (lambda torch: torch.nn.Linear(2, 2), "nothing else"),
        (lambda torch: torch.zeros(3), "arrays by name"),
    ],
)
def test_pytorch_file_of_something_else_is_refused(torch, tmp_path, make, says):
    torch.save(make(torch), tmp_path / "weights.pt")
    with pytest.raises(InputError, match=says):
        read_state_dict(tmp_path / "weights.pt")


def test_whole_model_is_refused_with_what_to_do(tmp_path, monkeypatch):
    def load(path, weights_only, **options):
        assert weights_only
        raise pickle.UnpicklingError("Weights only load failed. This file can still be loaded, ...")

    monkeypatch.setitem(sys.modules, "torch", types.SimpleNamespace(load=load))
    (tmp_path / "model.pt").write_bytes(b"")
    message = refused(tmp_path / "model.pt")
    assert "torch.save(model.state_dict(), FILE)" in message
    assert "can still be loaded" not in message


def test_missing_package_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setitem(sys.modules, "safetensors", None)
    for name, package in (("w.pt", "torch"), ("w.safetensors", "safetensors")):
        (tmp_path / name).write_bytes(b"")
        assert f"pip install 'darts-tf[{package}]'" in refused(tmp_path / name)


# What others put around the weights


def stored_as(monkeypatch, tmp_path, stored, serialization=None):
    """Returns the path of a file for which PyTorch's loader returns `stored`."""
    fake = types.SimpleNamespace(load=lambda path, **options: stored, serialization=serialization)
    monkeypatch.setitem(sys.modules, "torch", fake)
    (tmp_path / "weights.pt").write_bytes(b"")
    return tmp_path / "weights.pt"


@pytest.mark.parametrize("key", WRAPPERS)
def test_weights_of_a_checkpoint_are_found_by_their_key(monkeypatch, tmp_path, key):
    stored = {"epoch": 3, "optimizer": {"state": {}}, key: STATE, "best": 0.5}
    assert_same(read_state_dict(stored_as(monkeypatch, tmp_path, stored)))


def test_checkpoint_with_another_key_is_refused_with_the_known_ones(monkeypatch, tmp_path):
    path = stored_as(monkeypatch, tmp_path, {"epoch": 3, "weights": STATE})
    message = refused(path)
    assert "under one of the keys state_dict, model_state_dict, model, net, network" in message
    assert message.endswith("Received: the keys epoch, weights")


@pytest.mark.parametrize(
    "prefixed",
    [
        lambda name: f"module.{name}",
        lambda name: f"_orig_mod.{name}",
        lambda name: f"model.{name}",
        lambda name: f"module._orig_mod.model.{name}",
        lambda name: f"module.{name}" if "weight" in name else name,  # of some layers
    ],
)
def test_prefixes_of_names_are_dropped(tmp_path, prefixed):
    np.savez(tmp_path / "w.npz", **{prefixed(name): array for name, array in STATE.items()})
    assert_same(read_state_dict(tmp_path / "w.npz"))


def test_names_that_prefixes_make_equal_are_refused(tmp_path):
    np.savez(tmp_path / "w.npz", **{"a": np.ones(2), "module.a": np.zeros(2), "b": np.ones(1)})
    assert refused(tmp_path / "w.npz").endswith("Received: a more than once")


def test_counters_are_ignored_with_a_line(monkeypatch, tmp_path, caplog):
    counters = {
        f"{name}.{end}": np.zeros(1) for name in "ab" for end in ("total_ops", "total_params")
    }
    stored = {**STATE, **counters, "total_ops": np.zeros(1), "drop_path_prob": 0.2}
    path = stored_as(monkeypatch, tmp_path, stored)
    with caplog.at_level(logging.WARNING, "darts_tf"):
        assert_same(read_state_dict(path))
    (line,) = [record.getMessage() for record in caplog.records]
    assert line == (
        "ignored entries that are no weights: 3 total_ops, 2 total_params, 1 drop_path_prob"
    )


def test_numbers_of_numpy_may_be_loaded_and_nothing_else(monkeypatch, tmp_path):
    allowed = []
    safe = types.SimpleNamespace(safe_globals=lambda names: allowed.extend(names) or nothing)
    nothing = contextlib.nullcontext()
    assert_same(read_state_dict(stored_as(monkeypatch, tmp_path, STATE, safe)))
    names = {f"{each.__module__}.{each.__qualname__}": each for each in allowed}
    for module in ("numpy.core.multiarray", "numpy._core.multiarray"):
        restore = names.pop(f"{module}.scalar")
        assert restore(np.dtype("f8"), np.float64(0.75).tobytes()) == 0.75
    assert names.pop("numpy.dtype") is np.dtype
    assert "numpy.dtypes.Float64DType" in names
    assert all(issubclass(each, np.dtype) for each in names.values())
    assert not any("Object" in name or "Void" in name for name in names)


def test_bfloat16_of_safetensors_is_read(tmp_path):
    pytest.importorskip("safetensors")
    bits = np.array([0x3FC0, 0xC000, 0x0000], "<u2")  # 1.5, -2, 0
    header = {"a": {"dtype": "BF16", "shape": [3, 1], "data_offsets": [0, 6]}}
    header |= {"b": {"dtype": "F16", "shape": [], "data_offsets": [6, 8]}}
    header |= {"c": {"dtype": "BF16", "shape": [], "data_offsets": [8, 10]}}
    text = json.dumps(header).encode()
    content = len(text).to_bytes(8, "little") + text + bits.tobytes() + np.float16(0.5).tobytes()
    content += bits[:1].tobytes()
    (tmp_path / "w.safetensors").write_bytes(content)
    expected = {"a": np.array([[1.5], [-2.0], [0.0]]), "b": np.array(0.5), "c": np.array(1.5)}
    assert_same(read_state_dict(tmp_path / "w.safetensors"), expected)


# Invalid files


@pytest.mark.parametrize("ending", READERS)
@pytest.mark.parametrize("content", [b"", b"rubbish" * 99, b"PK\x03\x04" + bytes(60), b"\x80\x02."])
def test_rubbish_is_refused(tmp_path, ending, content):
    (tmp_path / f"weights{ending}").write_bytes(content)
    assert "weights" in refused(tmp_path / f"weights{ending}")


@pytest.mark.parametrize("ending", READERS)
def test_truncated_file_is_refused(tmp_path, ending):
    path = tmp_path / f"weights{ending}"
    if ending == ".npz":
        np.savez(path, **STATE)
    elif ending == ".safetensors":
        pytest.importorskip("safetensors.numpy").save_file(STATE, path)
    else:
        torch = pytest.importorskip("torch")
        torch.save(tensors(torch), path)
    whole = path.read_bytes()
    for length in (1, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        refused(path)


@pytest.mark.parametrize("name", ["weights", "weights.ckpt", "weights.pkl", "weights.PT"])
def test_other_endings_are_refused(tmp_path, name):
    (tmp_path / name).write_bytes(b"")
    assert "Expected a file .pt, .pth, .pth.tar, .npz, .safetensors" in refused(tmp_path / name)


def test_missing_file_and_folder_are_refused(tmp_path):
    (tmp_path / "folder.pt").mkdir()
    assert "is not there" in refused(tmp_path / "file.pt")
    assert "is no file" in refused(tmp_path / "folder.pt")


def test_array_that_is_no_number_is_refused(tmp_path):
    np.savez(tmp_path / "weights.npz", a=np.array(["text"]))
    assert "Received: a, <U4" in refused(tmp_path / "weights.npz")


def test_npz_is_taken_or_refused(tmp_path):
    folder = pathlib.Path(os.path.realpath(tmp_path))
    path = folder / "weights.npz"
    buffer = io.BytesIO()
    np.savez(buffer, **STATE)
    path.write_bytes(buffer.getvalue())
    read_state_dict(path)  # performs the lazy imports

    def read(content: bytes):
        path.write_bytes(content)

        def reader():
            for array in read_state_dict(path).values():
                assert array.dtype.kind in "fiu"

        return reader

    assert fuzz(hostile_arrays, 500, read, folder=folder, parses=True) > 0.6
    assert [found.name for found in folder.iterdir()] == ["weights.npz"]
