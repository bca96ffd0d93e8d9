"""Films of searches: every epoch as the picture of its supernet, with a fixed layout."""

from __future__ import annotations

import io
from xml.etree import ElementTree

import numpy as np
import pytest
from picture_strategies import SVG
from PIL import Image, ImageSequence

from darts_tf.errors import InputError
from darts_tf.plots import films, sketches
from darts_tf.plots.drawing import STRONGEST, WEAKEST, line_width
from darts_tf.plots.films import FORMATS, LAST_SECONDS, SECONDS, animation, filmed
from darts_tf.plots.legend import weight_range


def history_of(epochs, shape=(2, 5, 8)):
    """Returns the alphas of a search as a random walk."""
    steps = np.random.default_rng(0).normal(size=(epochs, *shape))
    return {epoch: tuple(alphas) for epoch, alphas in enumerate(np.cumsum(steps, axis=0))}


@pytest.fixture
def frames():
    return [sketches.of_alphas(alphas) for alphas in history_of(4).values()]


@pytest.fixture
def film(frames):
    return filmed(frames, [f"epoch {i}" for i in range(4)], dark=False)


def test_parts_say_what_each_frame_shows(frames, film):
    weights = weight_range(op for cells in frames for cell in cells for op in cell.operations)
    for i, cells in enumerate(frames):
        expected = {
            f"{c}-{e}-{op.primitive}-{op.kept}": line_width(op.weight, weights)
            for c, cell in enumerate(cells)
            for e, op in enumerate(cell.operations)
        }
        there = {key for key, part in film.parts.items() if part.visible[i]}
        edges = {f"{key}-edge" for key in expected}
        assert there == {*expected, *edges, f"title-{i}"}
        for key, width in expected.items():
            assert film.parts[f"{key}-edge"].widths[i] == width
    assert film.frames == 4
    widths = [width for part in film.parts.values() for width in part.widths or ()]
    assert (min(widths), max(widths)) == (WEAKEST, STRONGEST)


def values_at(animate, seconds):
    """Returns the value of an SVG `animate` element at a time (SMIL 3.0, 12.6)."""
    values = animate.get("values").split(";")
    times = [float(time) for time in animate.get("keyTimes").split(";")]
    share = seconds / float(animate.get("dur").removesuffix("s"))
    assert times[0] == 0
    assert times == sorted(times)
    if animate.get("calcMode") == "discrete":
        return values[sum(time <= share + 1e-9 for time in times) - 1]
    assert times[-1] == 1
    return float(np.interp(share, times, list(map(float, values))))


def test_svg_moves_as_the_parts_say(film):
    keys = iter(film.parts)
    root = ElementTree.fromstring(films.moving_svg_of(film))
    paths = [path for path in root.iter(f"{SVG}path") if path.findall(f"{SVG}animate")]
    moving = {key for key in keys if len(set(film.parts[key].visible)) > 1}
    assert len(paths) >= len(moving)
    shown = np.zeros(4, int)
    for path in paths:
        by_name = {each.get("attributeName"): each for each in path.findall(f"{SVG}animate")}
        assert set(by_name) <= {"visibility", "stroke-width"}
        for each in by_name.values():
            assert each.get("repeatCount") == "indefinite"
            assert float(each.get("dur")[:-1]) == 3 * SECONDS + LAST_SECONDS
        if "visibility" in by_name:
            seen = [values_at(by_name["visibility"], i * SECONDS + 0.01) for i in range(4)]
            shown += np.array(seen) == "visible"
            assert path.get("visibility", "visible") == seen[-1]
        if "stroke-width" in by_name:
            widths = {
                tuple(round(values_at(by_name["stroke-width"], i * SECONDS), 2) for i in range(4))
            }
            known = {
                tuple(round(width, 2) for width in part.widths)
                for part in film.parts.values()
                if part.widths
            }
            assert widths <= known
    assert shown.min() > 0


def test_gif_shows_every_epoch_and_stays_at_the_last(film):
    image = Image.open(io.BytesIO(films.gif_of(film)))
    frames = [frame.convert("RGB") for frame in ImageSequence.Iterator(image)]
    assert len(frames) == 4
    assert all(
        np.asarray(a).tobytes() != np.asarray(b).tobytes()
        for a, b in zip(frames, frames[1:], strict=False)
    )
    image.seek(0)
    assert image.info["duration"] == 1000 * SECONDS
    image.seek(3)
    assert image.info["duration"] == 1000 * LAST_SECONDS
    assert image.info["loop"] == 0


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("shape", [(2, 2, 8), (1, 6, 5)], ids=["images", "text"])
def test_the_same_search_is_the_same_file(format, shape):
    history = history_of(2, shape)
    assert animation(history, format, dark=True) == animation(history, format, dark=True)


def test_long_searches_are_thinned_with_their_ends_kept(monkeypatch):
    given = []
    monkeypatch.setitem(FORMATS, "svg", lambda film: given.append(film) or b"")
    monkeypatch.setattr(films, "MOST_FRAMES", 4)
    animation(history_of(10, (2, 2, 8)), "svg", title="run", cell="normal")
    (film,) = given
    assert film.frames == 4
    titles = [key for key in film.parts if key.startswith("title")]
    assert len(titles) == 4
    assert film.figure.get_gid().startswith("title:run: epoch 10 of 10; normal cell: ")


def test_results_follow_the_epoch_in_the_title():
    history = history_of(2, (2, 2, 8))
    text = animation(history, "svg", title="run", results={1: "accuracy 90 %"}).decode()
    assert "run: epoch 2 of 2, accuracy 90 %; normal cell" in text
    film = animation(history, "svg", title="run", results={0: "accuracy 90 %"}).decode()
    assert "run: epoch 2 of 2; normal cell" in film


def test_one_epoch_is_a_film_too():
    for format in FORMATS:
        assert animation(history_of(1, (2, 2, 8)), format)


@pytest.mark.parametrize(
    ("history", "format", "message"),
    [
        ({}, "gif", "Expected the alphas of one epoch or more"),
        (history_of(1), "mp4", "Expected format of an animation to be one of gif, svg"),
        ({0: np.zeros((2, 14, 7))}, "gif", "Expected an array of shape"),
    ],
    ids=["empty", "format", "shape"],
)
def test_wrong_use_is_told(history, format, message):
    with pytest.raises(InputError, match=message):
        animation(history, format)
