"""Strategies of `hypothesis` for hostile files: damaged JSON and arrays."""

from __future__ import annotations

import copy
import io
import json
import os
import pickle
import zipfile
from collections.abc import Iterator

import numpy as np
from hypothesis import strategies as st

# Values


CODE = "__import__('os').system('touch pwned')"

NASTY_TEXTS = (
    *("", " ", "\x00", "a\nb", "\u2028", "\ud800", "é", "NaN", "null", "[]", "-1", "1e999"),
    *("__class__", "__init__", "__reduce__", "__dict__", "self", "cls", "{0.__class__}", "%s%n"),
    *(
        CODE,
        f"eval({CODE!r})",
        "$(touch pwned)",
        "; touch pwned",
        "!!python/object/apply:os.system",
    ),
    *("/etc/passwd", "../../../etc/passwd", "/dev/zero", "file:///etc/passwd", "x" * 20_000),
)
NASTY_NUMBERS = (
    *(0, -1, 2**31, -(2**31) - 1, 2**63, -(2**63) - 1, 2**64, 10**308, 10**400, -(10**4000)),
    *(-0.0, 5e-324, 1e308, -1e308, float("nan"), float("inf"), float("-inf"), 0.5, 1e-7),
)

texts = st.one_of(st.sampled_from(NASTY_TEXTS), st.text(st.characters(), max_size=20))
scalars = st.one_of(
    st.sampled_from([None, True, False]), st.sampled_from(NASTY_NUMBERS), texts, st.integers()
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
"""Strategy of JSON values of any nesting."""


# Documents


@st.composite
def changed(draw, documents: tuple[dict, ...]):
    """Strategy of these valid documents with one to three changes anywhere."""
    document = {"": copy.deepcopy(draw(st.sampled_from(documents)))}
    for _ in range(draw(st.integers(1, 3))):
        places = list(_places(document))
        place, key = places[draw(st.integers(0, len(places) - 1))]
        draw(st.sampled_from(CHANGES))(draw, place, key)
    return document.get("")


def _places(value) -> Iterator[tuple[dict | list, object]]:
    """Returns every container in a value, with each of its keys."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in items:
        yield value, key
        if isinstance(item, dict | list):
            yield from _places(item)


def _replace(draw, place, key):
    place[key] = draw(values)


def _replace_by_number(draw, place, key):
    place[key] = draw(st.sampled_from(NASTY_NUMBERS))


def _replace_by_neighbour(draw, place, key):
    others = list(place.values() if isinstance(place, dict) else place)
    place[key] = others[draw(st.integers(0, len(others) - 1))]


def _drop(draw, place, key):
    if "" not in place:  # the whole document
        del place[key]


def _rename(draw, place, key):
    if isinstance(place, dict) and "" not in place:
        place[draw(texts)] = place.pop(key)


def _add(draw, place, key):
    if isinstance(place, list):
        place.insert(key, draw(values))
    elif "" not in place:
        place[draw(texts)] = draw(values)


def _wrap(draw, place, key):
    place[key] = draw(st.sampled_from([[place[key]], {"value": place[key]}, str(place[key])]))


CHANGES = (_replace, _replace_by_number, _replace_by_neighbour, _drop, _rename, _add, _wrap)


@st.composite
def damaged(draw, documents: tuple[dict, ...]) -> bytes:
    """Strategy of the bytes of these documents, damaged so that they may be invalid JSON."""
    text = encoded(draw(st.sampled_from(documents)))
    return draw(st.sampled_from(DAMAGES))(draw, text)


def encoded(value) -> bytes:
    """Encodes JSON text in UTF-8, including lone surrogates, which are invalid there."""
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")


def _place_in(draw, text: bytes) -> int:
    return draw(st.integers(0, len(text)))


def _truncate(draw, text):
    return text[: draw(st.integers(0, len(text) - 1))]


def _overwrite(draw, text):
    start, noise = _place_in(draw, text), draw(st.binary(min_size=1, max_size=8))
    return text[:start] + noise + text[start + draw(st.integers(0, 8)) :]


def _repeat_a_part(draw, text):
    start, end = sorted((_place_in(draw, text), _place_in(draw, text)))
    return text[:end] + text[start:]


def _repeat_a_key(draw, text):
    name = draw(st.sampled_from([text[: text.index(b":")].strip(b"{ "), b'"x"']))
    return b"{" + name + b": " + encoded(draw(scalars)) + b", " + name + b": 1, " + text[1:]


def _nest(draw, text):
    levels = draw(st.sampled_from([31, 33, 500, 990, 5_000, 100_000]))
    opening, closing = draw(st.sampled_from([(b"[", b"]"), (b'{"a":', b"}")]))
    start, middle = _place_in(draw, text), draw(st.sampled_from([b"", b"1", b"null"]))
    place = text[:start].rfind(b":") + 1 if draw(st.booleans()) else 0
    return text[:place] + opening * levels + middle + closing * levels + text[start:]


def _many_digits(draw, text):
    digits = draw(st.sampled_from([b"9" * 400, b"-" + b"9" * 5_000, b"1e" + b"9" * 400, b"0x10"]))
    return text.replace(b": ", b": " + digits + b", " if draw(st.booleans()) else b": " + digits, 1)


def _other_encoding(draw, text):
    encoding = draw(st.sampled_from(["utf-16", "utf-32", "utf-8-sig", "utf-7"]))
    return text.decode("utf-8", "replace").encode(encoding)


def _other_words(draw, text):
    return draw(st.sampled_from([CODE.encode(), b"'", b"#", b"//", b"\x00"])) + text


DAMAGES = (
    *(_truncate, _overwrite, _repeat_a_part, _repeat_a_key, _nest, _many_digits),
    *(_other_encoding, _other_words),
)


def hostile_json(*documents: dict) -> st.SearchStrategy[bytes]:
    """Strategy of bytes in place of these documents; most of them have small errors."""
    return st.one_of(
        st.binary(max_size=60),
        texts.map(lambda text: text.encode("utf-8", "surrogatepass")),
        values.map(encoded),
        changed(documents).map(encoded),
        changed(documents).map(lambda value: json.dumps(value).encode()),  # surrogates escaped
        damaged(documents),
        damaged(documents),
    )


# Arrays


class _Command:
    """An object that runs a command when it is unpickled."""

    def __reduce__(self):
        return os.system, ("touch pwned",)


PICKLE = pickle.dumps(_Command())
MEMBERS = ("normal", "reduce", "edges_normal", "edges_reduce")


def _npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()


def _zipped(members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


@st.composite
def _npy_with_a_header(draw) -> bytes:
    """Returns an array file with another header, which is a Python literal."""
    header = draw(st.sampled_from(HEADERS)) if draw(st.booleans()) else draw(st.text(max_size=80))
    major = draw(st.sampled_from([1, 1, 2, 3, 9]))
    text = header.encode("utf-8", "surrogatepass") + b"\n"
    length = len(text).to_bytes(2 if major == 1 else 4, "little")
    content = draw(st.sampled_from([bytes(64), b"", PICKLE]))
    return b"\x93NUMPY" + bytes([major, 0]) + length + text + content


def _header(descr: str, shape: str = "(2, 4)", more: str = "") -> str:
    return f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}{more}}}"


HEADERS = (
    *(_header("'<f8'"), _header("'|O'"), _header("'<U4'"), _header("'<c16'"), _header("'<M8[s]'")),
    *(_header("'<f8'", shape) for shape in ("(-1, 4)", "(2**63,)", "4", "(1e9,)", "()", "(True,)")),
    *(_header("'<f8'", f"({10**n}, {10**n})") for n in (5, 9, 18, 400)),
    *(_header(repr(CODE)), _header(CODE), _header("'<f8'", CODE), CODE, f"eval({CODE!r})"),
    *(_header("'<f8'", more=", 'x': 1"), _header("[('a', '<f8')]"), _header("'<f8'", "(2L, 4L)")),
    *("(" * 5_000, "-" * 9_000, "[" * 90 + "]" * 90, "{", "1if 2else 3", "'\\d'", "\x00", "1" * 60),
)

_arrays = st.sampled_from(
    [
        np.zeros((2, 8), np.float32),
        np.full((2, 8), np.nan),
        np.zeros((2, 8), int),
        np.array([["sep_conv_3x3"]]),
        np.array([[_Command()]], object),
        np.zeros(()),
        np.zeros((0, 8)),
        np.zeros(2),
        np.zeros((2, 8), [("a", float)]),
    ]
).map(_npy)
_contents = st.one_of(_arrays, _npy_with_a_header(), st.binary(max_size=40), st.just(PICKLE))
_names = st.one_of(
    st.sampled_from([f"{name}.npy" for name in MEMBERS]),
    st.sampled_from([*MEMBERS, "../normal.npy", "/normal.npy", "normal.npy.npy"]),
)
_archives = st.builds(
    _zipped,
    st.dictionaries(_names, _contents, max_size=4),
    st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2]),
)


@st.composite
def _damaged_archive(draw) -> bytes:
    zeros, method = _npy(np.zeros((2, 8))), draw(st.sampled_from([0, zipfile.ZIP_DEFLATED]))
    return draw(_damaged_file(_zipped({f"{name}.npy": zeros for name in MEMBERS[:2]}, method)))


def hostile_checkpoints(whole: bytes) -> st.SearchStrategy[bytes]:
    """Strategy of bytes in place of this checkpoint: damaged, or with hostile arrays or text."""
    with np.load(io.BytesIO(whole)) as arrays:
        text, count = bytes(arrays["meta"]), len(arrays.files) - 1
    texts = st.just(text) | hostile_json(json.loads(text))
    contents = st.lists(_contents, min_size=count, max_size=count) | st.lists(_contents, max_size=3)
    return st.one_of(
        st.builds(_checkpoint, texts, contents),
        st.builds(_checkpoint, st.just(text), contents),
        _damaged_file(whole),
    )


def _checkpoint(text: bytes, contents: list[bytes]) -> bytes:
    numbers = {f"{i:06}.npy": content for i, content in enumerate(contents)}
    return _zipped({"meta.npy": _npy(np.array(bytearray(text))), **numbers})


@st.composite
def _damaged_file(draw, whole: bytes) -> bytes:
    damage = draw(st.sampled_from([_truncate, _overwrite, _overwrite, _repeat_a_part]))
    return damage(draw, whole)


hostile_arrays = st.one_of(
    *(_archives, _archives, _damaged_archive(), _damaged_archive()),
    *(_contents, st.binary(max_size=60).map(lambda noise: b"PK\x03\x04" + noise)),
)
"""Strategy of bytes in place of a file of named arrays."""
