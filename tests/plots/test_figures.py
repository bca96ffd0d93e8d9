"""Pictures of cells: their content for the whole zoo, and files that are reproducible."""

from __future__ import annotations

import io
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from mostly_slow import mostly_slow
from picture_strategies import SVG, plan_of
from PIL import Image

import darts_tf
from darts_tf.errors import InputError
from darts_tf.plots import palette, sketches
from darts_tf.plots.drawing import LINE, STRONGEST, THIN, WEAKEST, line_width
from darts_tf.plots.figures import (
    DOTS,
    FORMATS,
    Page,
    composed,
    inline_cells,
    picture,
    plot_genotype,
    plot_supernet,
)
from darts_tf.plots.palette import COLOURS, KINDS, OTHER, kind_of, text_on
from darts_tf.spaces.cell import ACTIVATIONS, ALL_PRIMITIVES, CELLS, edges
from darts_tf.spaces.derivation import derive, derive_recurrent, strengths
from darts_tf.spaces.genotype import CELL_TITLES
from darts_tf.spaces.search_spaces import DARTS, SPACES
from darts_tf.spaces.zoo import GENOTYPES, RECURRENT_GENOTYPES

ZOO = [*GENOTYPES.items(), *((f"{n}-recurrent", g) for n, g in RECURRENT_GENOTYPES.items())]
NAMES = [name for name, _ in ZOO]


def parsed(figure):
    return ElementTree.fromstring(picture(figure, "svg"))


def tooltips(root):
    return [title.text for title in root.iter(f"{SVG}title")]


@mostly_slow((0, 9), "genotype", [genotype for _, genotype in ZOO], ids=NAMES)
def test_every_operation_has_a_box_with_its_name(genotype):
    root = parsed(plot_genotype(genotype))
    boxes = set(tooltips(root))
    for sketch in sketches.of_genotype(genotype):
        for operation in sketch.operations:
            words = sketch.words(operation)
            assert words.startswith(operation.primitive)
            assert words in boxes
            assert words in root.get("aria-label")


@pytest.mark.parametrize("cell", ["normal", "reduce"])
def test_one_cell_is_drawn_where_one_is_asked_for(cell):
    genotype = GENOTYPES["DARTS_V2"]
    found = tooltips(parsed(plot_genotype(genotype, cell=cell)))
    names = [primitive for primitive, _ in getattr(genotype, cell)]
    assert sorted({text.partition(" from")[0] for text in found}) == sorted(set(names))


def test_genotypes_are_taken_by_name_and_from_files(tmp_path):
    genotype = GENOTYPES["PDARTS"]
    genotype.save(tmp_path / "cell.json")
    expected = picture(plot_genotype(genotype), "svg")
    assert picture(darts_tf.plot_genotype("PDARTS"), "svg") == expected
    assert picture(plot_genotype(tmp_path / "cell.json"), "svg") == expected
    by_name = plot_genotype("DARTS_V2", cell="recurrent")
    recurrent = plot_genotype(RECURRENT_GENOTYPES["DARTS_V2"])
    assert picture(by_name, "svg") == picture(recurrent, "svg")


# Supernets


@pytest.fixture
def alphas():
    return tuple(np.random.default_rng(0).normal(size=(2, 14, 8)))


def test_a_supernet_has_all_edges_with_their_strongest_operations(alphas):
    found = sketches.of_alphas(alphas)
    genotype = derive(*alphas)
    space = SPACES[DARTS]
    for i, (sketch, cell, array) in enumerate(zip(found, CELLS, alphas, strict=True)):
        weights, names = strengths(space, i, array), space.candidates[i]
        assert [(op.source, op.target) for op in sketch.operations] == list(edges(4))
        assert [op.weight for op in sketch.operations] == list(weights.max(axis=1))
        assert [op.primitive for op in sketch.operations] == [
            row[i] for row, i in zip(names, weights.argmax(axis=1), strict=True)
        ]
        kept = {(op.primitive, op.source, op.target) for op in sketch.operations if op.kept}
        pairs = enumerate(getattr(genotype, cell))
        assert kept == {(name, source, 2 + i // 2) for i, (name, source) in pairs}
    assert len(tooltips(parsed(plot_supernet(alphas)))) >= 28


def test_a_recurrent_supernet_keeps_one_edge_a_node():
    alphas = np.random.default_rng(1).normal(size=(1, 36, 5))
    (sketch,) = sketches.of_alphas(alphas)
    kept = [op for op in sketch.operations if op.kept]
    assert tuple((op.primitive, op.source) for op in kept) == derive_recurrent(*alphas).recurrent
    assert [op.target for op in kept] == list(range(1, 9))
    assert "none" not in {op.primitive for op in sketch.operations}


def test_edges_that_another_genotype_keeps_are_marked_with_its_operations(alphas):
    genotype = GENOTYPES["DARTS_V2"]
    normal, _ = sketches.of_alphas(alphas, genotype=genotype)
    kept = [(op.primitive, op.source) for op in normal.operations if op.kept]
    assert sorted(kept) == sorted(genotype.normal)


def test_strengths_are_those_of_edges_with_parameters(alphas):
    shares = (np.linspace(-1, 1, 14), np.linspace(1, -1, 14))
    normal, _ = sketches.of_alphas((*alphas, *shares))
    weights = strengths(SPACES[DARTS], 0, alphas[0], shares[0])
    assert [op.weight for op in normal.operations] == list(weights.max(axis=1))


def test_widths_fill_their_range():
    weights = np.linspace(0.124, 0.131, 8)
    widths = [line_width(weight, (0.124, 0.131)) for weight in weights]
    np.testing.assert_allclose(widths, np.linspace(WEAKEST, STRONGEST, 8))
    assert line_width(0.125, (0.125, 0.125)) == line_width(None, None) == LINE


def edges_drawn(figure):
    """Returns the drawn edges of a figure: open paths without a fill."""
    patches = figure.axes[0].patches
    return [p for p in patches if isinstance(p, PathPatch) and p.get_facecolor()[3] == 0]


def test_a_supernet_s_widths_go_from_the_thinnest_to_the_thickest(alphas):
    for scale in (1e-3, 1, 3):
        cells = sketches.of_alphas(scale * np.array(alphas))
        weights = [operation.weight for cell in cells for operation in cell.operations]
        figure = plot_supernet(scale * np.array(alphas))
        drawn = {round(edge.get_linewidth(), 9) for edge in edges_drawn(figure)}
        expected = np.interp(weights, [min(weights), max(weights)], [WEAKEST, STRONGEST])
        assert drawn == {THIN, *(round(float(width), 9) for width in expected)}


def test_each_part_of_an_edge_is_as_wide_as_it_is_strong():
    given = {"normal": [0.05] * 8, "reduce": np.linspace(0.1, 0.8, 8)}
    root = parsed(plot_genotype("DARTS_V2", strengths=given))
    widths = re.findall(r"stroke-width: ([\d.]+)", ElementTree.tostring(root, "unicode"))
    for strength in given["reduce"]:
        expected = pytest.approx(line_width(strength, (0.05, 0.8)))
        assert sum(float(width) == expected for width in widths) == 2


@mostly_slow((0, 9), "genotype", [genotype for _, genotype in ZOO], ids=NAMES)
def test_no_drawn_edge_has_a_jog(genotype):
    edges = edges_drawn(plot_genotype(genotype))
    assert len(edges) > 2 * len(sketches.of_genotype(genotype)[0].operations)
    for edge in edges:
        assert jogs_of(edge.get_path()) == []


def jogs_of(path):
    """Returns the climbs of a path's lines and curves that are neither level nor 6 points high."""
    segments = [(points[-2:], code) for points, code in path.iter_segments()]
    climbs = [
        abs(end[1] - start[1]) for (start, _), (end, _) in zip(segments, segments[1:], strict=False)
    ]
    return [climb for climb in climbs if 1e-6 < climb < 6]


# Drawings for pages


@mostly_slow((0, 9), "genotype", [genotype for _, genotype in ZOO], ids=NAMES)
def test_cells_for_pages_leave_their_colours_to_the_page(genotype):
    drawn = inline_cells(genotype)
    assert [cell.cell for cell in drawn] == [s.cell for s in sketches.of_genotype(genotype)]
    for cell in drawn:
        root = ElementTree.fromstring(cell.svg)
        assert float(root.get("viewBox").split()[2]) == pytest.approx(cell.size[0], abs=0.1)
        assert {"var(--cell-ink)", "var(--cell-state)"} <= set(
            re.findall(r"var\([^)]*\)", cell.svg)
        )
        fixed = set(re.findall(r"#[0-9a-f]{6}", cell.svg))
        assert fixed <= {*COLOURS.values(), "#ffffff", "#000000"}
        assert root.get("aria-label").startswith(CELL_TITLES[cell.cell])


def test_pages_have_long_cells_from_top_to_bottom():
    for genotype in (*GENOTYPES.values(), *RECURRENT_GENOTYPES.values()):
        plans = [plan_of(sketch) for sketch in sketches.of_genotype(genotype)]
        drawn = inline_cells(genotype)
        width = max(cell.size[0] for cell in drawn)
        assert width < 1.1 * max(plan.layout.width for plan in plans)
    for genotype, down in ((RECURRENT_GENOTYPES["DARTS_V1"], True), (GENOTYPES["DARTS_V2"], False)):
        (width, height), *_ = (cell.size for cell in inline_cells(genotype))
        assert (height > width) == down


# Colors


@pytest.mark.parametrize("primitive", [*ALL_PRIMITIVES, *ACTIVATIONS])
def test_every_primitive_has_a_kind_with_a_colour(primitive):
    assert kind_of(primitive) in KINDS.values()
    assert kind_of(primitive) in COLOURS


def test_a_primitive_of_a_user_has_a_kind_too():
    assert kind_of("sep_conv_9x9") == "separable convolution"
    assert kind_of("convolve") == "convolution"
    assert kind_of("squeeze") == OTHER
    sketch = sketches.Sketch("normal", 1, (sketches.Operation("squeeze", 0, 2),), (2,))
    assert "squeeze from input 0 to node 2" in tooltips(parsed(composed([sketch], Page({}))))


def luminance(colour):
    """Returns the relative luminance of a color, as WCAG 2.2 defines it."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return float(np.dot([0.2126, 0.7152, 0.0722], linear))


def contrast(a, b):
    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", [palette.LIGHT, palette.DARK], ids=["light", "dark"])
def test_texts_can_be_read(theme):
    for colour in filter(None, COLOURS.values()):
        assert contrast(colour, text_on(colour)) >= 4.5
    assert contrast(theme.ink, theme.background) >= 7
    assert contrast(theme.ink, theme.state) >= 7


def test_kinds_of_images_differ_in_gray():
    kinds = [colour for kind, colour in COLOURS.items() if kind not in (*ACTIVATIONS, "none")]
    shades = sorted(luminance(colour or "#ffffff") for colour in kinds)
    assert min(np.diff(shades)) > 0.04


# Files


@pytest.mark.parametrize("format", FORMATS)
def test_the_same_picture_is_the_same_file(format):
    first, second = (
        plot_genotype("DARTS_V1", cell="reduce", title="cells", dark=True) for _ in range(2)
    )
    assert picture(first, format) == picture(second, format)


def test_files_are_what_they_are_called():
    figure = plot_genotype("DARTS_V1", cell="reduce")
    assert picture(figure, "pdf").startswith(b"%PDF")
    assert b"CreationDate" not in picture(figure, "pdf")
    for format in ("png", "gif"):
        image = Image.open(io.BytesIO(picture(figure, format)))
        assert image.format == format.upper()
        assert image.size == pytest.approx(figure.get_size_inches() * DOTS, abs=1)
        assert image.convert("RGB").getpixel((0, 0)) == (255, 255, 255)


def test_png_has_the_colours_of_its_areas_and_is_small():
    figure = plot_genotype("DARTS_V2", cell="normal")
    small = Image.open(io.BytesIO(picture(figure, "png")))
    file = io.BytesIO()
    figure.savefig(file, dpi=DOTS)  # by matplotlib, with all shades
    whole = np.asarray(Image.open(file).convert("RGB"), int)
    assert small.mode == "P"
    assert len(picture(figure, "png")) < len(file.getvalue()) / 2
    apart = np.abs(np.asarray(small.convert("RGB"), int) - whole).max(axis=-1)
    assert (apart == 0).mean() > 0.9
    assert apart.mean() < 0.5


def test_png_of_another_figure_has_all_its_colours():
    figure = Figure(figsize=(1, 1), facecolor="#123456")
    figure.figimage(np.linspace(0, 1, 40_000).reshape(200, 200), cmap="viridis")
    image = Image.open(io.BytesIO(picture(figure, "png"))).convert("RGB")
    assert len(image.getcolors(1 << 24)) > 200


def test_svg_can_stand_in_a_page_with_others():
    text = picture(plot_genotype("DARTS_V1"), "svg").decode()
    assert " id=" not in text
    assert "<style" not in text
    assert "<text" not in text


def test_ids_that_are_needed_are_those_of_one_figure():
    figures = []
    for label in ("one", "other"):
        figure = Figure()
        figure.subplots().plot([0, 1], [0, 1], label=label)  # has clip paths and text
        figure.axes[0].set_title(label)
        figures.append(parsed(figure))
    ids = [{e.get("id") for e in root.iter() if e.get("id")} for root in figures]
    assert ids[0]
    assert not ids[0] & ids[1]
    for root, known in zip(figures, ids, strict=True):
        text = ElementTree.tostring(root, "unicode")
        assert set(re.findall(r'(?:url\(|href=")#([^)"]+)', text)) == known


def test_axes_of_another_figure_are_drawn_in():
    figure = Figure(figsize=(8, 4))
    axes = figure.subplots(1, 2)
    for ax, dark in zip(axes, (False, True), strict=True):
        assert plot_genotype("DARTS_V2", cell="normal", ax=ax, dark=dark) is figure
    assert len(set(tooltips(parsed(figure)))) == 8
    assert figure.get_facecolor() == Figure().get_facecolor()


def test_notebooks_show_the_figure():
    figure = plot_genotype("DARTS_V2")
    assert figure._repr_svg_() == picture(figure, "svg").decode()


# Invalid arguments


@pytest.mark.parametrize(
    ("plot", "message"),
    [
        (lambda: plot_genotype("DARTS_V3"), "Did you mean 'DARTS_V"),
        (lambda: plot_genotype("DARTS_V2", cell="norml"), "Did you mean 'normal'"),
        (lambda: plot_genotype(RECURRENT_GENOTYPES["ENAS"], cell="reduce"), "one of recurrent"),
        (lambda: plot_genotype("DARTS_V2", strengths=[1.0] * 8), "Expected strengths by cell"),
        (lambda: plot_genotype("DARTS_V2", strengths={"normal": [1]}), "Expected 8 strengths"),
        (lambda: plot_genotype("DARTS_V2", strengths={"nrmal": [1]}), "Did you mean 'normal'"),
        (
            lambda: plot_genotype("DARTS_V2", cell="normal", strengths=[np.nan] * 8),
            "Expected 8 strengths of zero or more",
        ),
        (lambda: plot_supernet(np.zeros((3, 14, 8))), "Expected 1, 2 or 4 arrays"),
        (lambda: plot_supernet(np.zeros((2, 13, 8))), "Expected one row of alphas per edge"),
        (lambda: plot_supernet(np.full((2, 14, 8), np.inf)), "Expected finite numbers"),
        (lambda: plot_supernet(np.zeros((1, 36, 5)), cell="normal"), "one of recurrent"),
        (lambda: plot_supernet(np.zeros((2, 14, 8)), relaxation="soft"), "Did you mean 'softmax'"),
        (
            lambda: plot_supernet(np.zeros((2, 14, 8)), genotype=GENOTYPES["NASNet"]),
            "Expected a genotype of the alphas' 4 nodes. Received: 5 nodes",
        ),
        (
            lambda: plot_supernet(np.zeros((1, 36, 5)), genotype=GENOTYPES["NASNet"]),
            "Expected a genotype with a recurrent cell",
        ),
        (lambda: picture(Figure(), "jpg"), "Expected format to be one of svg, png"),
    ],
)
def test_wrong_use_is_told(plot, message):
    with pytest.raises(InputError, match=message):
        plot()
