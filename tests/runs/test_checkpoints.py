"""Checkpoints as files: what was written comes back bit for bit, or is refused; nothing else."""

from __future__ import annotations

import json
import os
import pathlib
import pickle

import numpy as np
import pytest
from audit_reader import SETTINGS
from example_counts import WHOLE, examples
from hypothesis import given, settings
from hypothesis import strategies as st

from darts_tf.configs import SearchConfig
from darts_tf.errors import InputError
from darts_tf.runs import checkpoints
from darts_tf.runs.checkpoints import CheckpointError, Position

CONFIG = SearchConfig(workdir="run").to_dict()
POSITION = Position(epoch=2, step=3, steps=8)


def drawn(kind, shape, seed=0) -> np.ndarray:
    """An array of random bits."""
    count = int(np.prod(shape)) * np.dtype(kind).itemsize
    bits = np.random.default_rng(seed).integers(0, 2 if kind == "?" else 256, count, np.uint8)
    return bits.view(kind).reshape(shape)


ARRAYS = (
    *(drawn("<f4", (3, 3, 5, 40)), np.int64(7), drawn("<f4", (0, 3)), drawn("<f8", (700,))),
    *(drawn("<i8", ()), np.float32(-0.0), drawn("<f4", (24,), seed=1)),
)
"""Larger than the buffers of those that read them, and smaller."""


def same(one, other) -> bool:
    """Returns whether two checkpoints that were read are equal bit for bit."""
    arrays = zip(one[2], other[2], strict=False)
    return (
        one[:2] == other[:2]
        and len(one[2]) == len(other[2])
        and all(
            (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes()) for a, b in arrays
        )
    )


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> bytes:
    """A whole checkpoint."""
    folder = tmp_path_factory.mktemp("checkpoint")
    return checkpoints.write(folder, POSITION, CONFIG, ARRAYS).read_bytes()


# Whole files


KINDS = ("?", *"bhilBHILefdFD", ">f4", ">i8", "<u2", "<f2")


@pytest.mark.parametrize("shape", [(), (1,), (0, 3), (3, 4, 5), (50, 200)], ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_checkpoint_comes_back_bit_for_bit(tmp_path, kind, shape):
    arrays = [drawn(kind, shape), drawn(kind, shape, seed=1)]
    path = checkpoints.write(tmp_path, POSITION, CONFIG, arrays)
    assert same(checkpoints.read(path), (POSITION, CONFIG, arrays))


def test_checkpoint_keeps_bits_that_compare_alike(tmp_path):
    quiet, loud = np.array([0x7FC00001, 0xFF800001], np.uint32).view(np.float32)
    arrays = [np.array([quiet, loud, -0.0, 0.0, np.inf, -np.inf, 1e-45], np.float32)]
    restored = checkpoints.read(checkpoints.write(tmp_path, POSITION, CONFIG, arrays))
    assert same(restored, (POSITION, CONFIG, arrays))


def test_checkpoint_takes_arrays_of_any_layout_and_python_numbers(tmp_path):
    block = drawn("<i4", (6, 8))
    arrays = [
        block.T,
        block[::2, ::-3],
        np.asfortranarray(block),
        np.broadcast_to(block[0], (3, 8)),
    ]
    path = checkpoints.write(tmp_path, POSITION, {}, [*arrays, 0.5, True])
    _, _, restored = checkpoints.read(path)
    for actual, expected in zip(restored, [*arrays, 0.5, True], strict=True):
        np.testing.assert_array_equal(actual, expected)


def test_checkpoint_keeps_the_order_of_many_arrays(tmp_path):
    arrays = [np.int32(i) for i in range(1234)]
    _, _, restored = checkpoints.read(checkpoints.write(tmp_path, POSITION, CONFIG, arrays))
    assert [int(array) for array in restored] == list(range(1234))


def test_checkpoint_of_no_arrays_is_one(tmp_path):
    restored = checkpoints.read(checkpoints.write(tmp_path, POSITION, CONFIG, []))
    assert same(restored, (POSITION, CONFIG, []))


def test_write_names_the_file_by_the_step_and_leaves_nothing_else(tmp_path):
    folder = tmp_path / "a" / "b"
    for _ in range(2):
        path = checkpoints.write(folder, Position(2, 3, 8), CONFIG, ARRAYS)
    assert path == folder / "step-0000000019.npz"
    assert list(folder.iterdir()) == [path]


def test_newest_is_the_one_of_the_last_step(tmp_path):
    assert checkpoints.newest(tmp_path / "nothing") == []
    positions = [Position(1, 9, 99), Position(0, 12, 99), Position(99, 0, 99), Position(0, 2, 99)]
    paths = {p.done: checkpoints.write(tmp_path, p, {}, []) for p in positions}
    for name in ("step-7.txt", ".step-9999999999.npz.x", "step-8.npz.part"):
        (tmp_path / name).touch()
    assert checkpoints.newest(tmp_path) == [paths[done] for done in sorted(paths, reverse=True)]


def test_damaged_checkpoints_are_logged_and_left_out(tmp_path, caplog):
    paths = [checkpoints.write(tmp_path, Position(i, 0, 5), {"i": i}, ARRAYS[:1]) for i in range(3)]
    paths[2].write_bytes(paths[2].read_bytes()[:-9])
    restored = list(checkpoints.readable(checkpoints.newest(tmp_path)))
    assert [(path, position.epoch, config) for path, position, config, _ in restored] == [
        (paths[1], 1, {"i": 1}),
        (paths[0], 0, {"i": 0}),
    ]
    assert all(same((0, 0, arrays), (0, 0, ARRAYS[:1])) for *_, arrays in restored)
    assert caplog.text.count("trying the one before") == caplog.text.count(paths[2].name) == 1


def test_checkpoint_of_another_format_is_refused_and_not_left_out(tmp_path, monkeypatch):
    """Starting again, or from one before, would lose what the other version has done."""
    checkpoints.write(tmp_path, Position(0, 0, 5), {}, ARRAYS[:1])
    monkeypatch.setattr(checkpoints, "FORMAT", 1)
    old = checkpoints.write(tmp_path, Position(1, 0, 5), {}, ARRAYS[:1])
    monkeypatch.undo()
    message = f"Expected a checkpoint of format 2. Received: format 1.*{old.name}"
    with pytest.raises(checkpoints.FormatError, match=message) as error:
        list(checkpoints.readable(checkpoints.newest(tmp_path)))
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("position", "done"),
    [(Position(0, 0, 5), 0), (Position(0, 5, 5), 5), (Position(1, 0, 5), 5), (POSITION, 19)],
)
def test_position_counts_the_steps_that_are_done(position, done):
    assert position.done == done


# Damaged files


def is_told(path: pathlib.Path, content: bytes, whole: bytes) -> bool:
    """Reads a damaged file: whether it is refused. If not, it must say what the whole one says."""
    path.write_bytes(content)
    try:
        restored = checkpoints.read(path)
    except CheckpointError as error:
        message = str(error)
        assert message.startswith("Expected a")
        assert len(message.splitlines()) == 1
        return True
    path.write_bytes(whole)
    assert same(restored, checkpoints.read(path))
    return False


def test_checkpoint_cut_off_anywhere_is_refused(tmp_path):
    arrays = [drawn("<f4", (2, 3)), np.int64(7)]
    path = checkpoints.write(tmp_path, POSITION, {"seed": 0}, arrays)
    whole = path.read_bytes()
    assert all(is_told(path, whole[:length], whole) for length in range(len(whole)))


@settings(max_examples=examples(400), **SETTINGS)
@given(st.data())
def test_large_checkpoint_cut_off_anywhere_is_refused(tmp_path_factory, written, data):
    path = tmp_path_factory.getbasetemp() / "cut.npz"
    length = data.draw(st.integers(0, len(written) - 1))
    assert is_told(path, written[:length], written)
    rest = bytes(len(written) - length)  # as a file system can leave it when the power fails
    is_told(path, written[:length] + rest, written)


@settings(max_examples=examples(400), **SETTINGS)
@given(st.data())
def test_checkpoint_with_a_damaged_byte_is_refused_or_says_the_same(
    tmp_path_factory, written, data
):
    path = tmp_path_factory.getbasetemp() / "flipped.npz"
    content = bytearray(written)
    content[data.draw(st.integers(0, len(written) - 1))] ^= data.draw(st.integers(1, 255))
    is_told(path, bytes(content), written)


def around_numbers(whole: bytes) -> list[int]:
    """All places but those of numbers: before those of every array, and after the last."""
    starts = [place for place in range(len(whole)) if whole[place:].startswith(b"PK\x03\x04")]
    ends = range(whole.index(b"PK\x01\x02"), len(whole))
    return [*(place for start in starts for place in range(start, start + 190)), *ends]


def test_checkpoint_with_any_bit_flipped_around_its_numbers_is_refused_or_says_the_same(tmp_path):
    arrays = [drawn("<f4", (3, 3, 5, 40)), np.int64(7)]
    path = checkpoints.write(tmp_path, POSITION, {"seed": 0}, arrays)
    whole, refused = path.read_bytes(), 0
    places = around_numbers(whole)[:: 1 if WHOLE else 4]
    for place in places:
        for bit in range(8):
            content = bytearray(whole)
            content[place] ^= 1 << bit
            refused += is_told(path, bytes(content), whole)
    assert refused > 0.5 * 8 * len(places)


@pytest.mark.parametrize(
    ("text", "damaged"),
    [(b"'<f4'", b"'<f2'"), (b"(3, 3, 5, 40)", b"(3, 3, 5, 10)"), (b"(700,)", b"(100,)")],
)
def test_damaged_header_that_asks_for_less_is_refused(tmp_path, written, text, damaged):
    assert text in written
    content = written.replace(text, damaged, 1)
    assert is_told(tmp_path / "step.npz", content, written)


# Other files


class Command:
    """Object that creates a file when it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("name", ["000000", "meta"])
def test_pickle_in_a_checkpoint_is_refused_and_not_run(tmp_path, name):
    path = checkpoints.write(tmp_path, POSITION, CONFIG, [np.zeros(2)])
    with np.load(path) as arrays:
        again = dict(arrays)
    np.savez(path, **again)
    assert same(checkpoints.read(path), (POSITION, CONFIG, [np.zeros(2)]))
    again[name] = np.array([Command(tmp_path / "pwned")], object)
    np.savez(path, allow_pickle=True, **again)
    with pytest.raises(CheckpointError, match="Expected a whole checkpoint"):
        checkpoints.read(path)
    path.write_bytes(pickle.dumps(again))
    with pytest.raises(CheckpointError, match="Expected a whole checkpoint"):
        checkpoints.read(path)
    assert not (tmp_path / "pwned").exists()


def test_read_names_a_file_that_is_none_or_is_not_there(tmp_path):
    (tmp_path / "empty.npz").touch()
    (tmp_path / "folder.npz").mkdir()
    np.save(tmp_path / "array.npy", np.zeros(3))
    np.savez(tmp_path / "other.npz", normal=np.zeros(3))
    for name in ("empty.npz", "folder.npz", "array.npy", "other.npz", "nothing.npz"):
        with pytest.raises(CheckpointError, match=f"Expected a whole checkpoint.*{name}"):
            checkpoints.read(tmp_path / name)
    assert issubclass(CheckpointError, InputError)


ABOUT = {"format": checkpoints.FORMAT, "epoch": 2, "step": 3, "steps": 8, "config": {"seed": 0}}


def test_parse_gives_position_and_settings():
    assert checkpoints.parse(json.dumps(ABOUT).encode()) == (POSITION, {"seed": 0})
    at_the_end = {**ABOUT, "step": 8, "more": None}
    assert checkpoints.parse(json.dumps(at_the_end).encode())[0] == Position(2, 8, 8)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"format": 1},
            "Expected a checkpoint of format 2. Received: format 1, of another version",
        ),
        ({"format": 3}, "Expected a checkpoint of format 2. Received: format 3"),
        ({"format": "2"}, "Expected a checkpoint of format 2"),
        ({"format": True}, "Expected a checkpoint of format 2"),
        ({"epoch": -1}, "epoch, step and steps as numbers"),
        ({"epoch": 1.0}, "epoch, step and steps as numbers"),
        ({"step": None}, "epoch, step and steps as numbers"),
        ({"step": 9}, "epoch, step and steps as numbers"),
        ({"step": 0, "steps": 0}, "epoch, step and steps as numbers"),
        ({"steps": True, "step": 0}, "epoch, step and steps as numbers"),
        ({"epoch": 2**53}, "epoch, step and steps as numbers"),
        ({"config": []}, "and its config. Received: format, epoch, step, steps, config"),
    ],
)
def test_parse_refuses_what_is_no_position(changed, message):
    with pytest.raises(CheckpointError, match=message):
        checkpoints.parse(json.dumps({**ABOUT, **changed}).encode())


@pytest.mark.parametrize("text", [b"", b"[]", b"{}", b"null", b"\xff", b"3", b"[" * 99_999])
def test_parse_refuses_other_texts(text):
    with pytest.raises(CheckpointError, match="Expected "):
        checkpoints.parse(text)


@pytest.mark.parametrize("field", ABOUT)
def test_parse_refuses_texts_without_a_field(field):
    with pytest.raises(CheckpointError, match="Expected a checkpoint"):
        checkpoints.parse(json.dumps({k: v for k, v in ABOUT.items() if k != field}).encode())
