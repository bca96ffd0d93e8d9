"""Reports in a real browser: they move, fit a phone, and ask nobody for anything."""

from __future__ import annotations

import contextlib

import pytest
from chrome import browser, require_browser
from fake_evaluations import of_many_classes
from fake_runs import SKIPS, comparison, search, study, text_search, training

from darts_tf.report.page import write_report
from darts_tf.runs import files
from darts_tf.runs.evaluations import evaluation_path, save_evaluation

WIDTHS = (320, 390, 768, 1280)

NO_WIDER = """
const wide = [...document.querySelectorAll("body *")].filter((each) =>
  !each.closest(".wide") && each.getBoundingClientRect().right > innerWidth + 1);
return [document.documentElement.scrollWidth > innerWidth, ...wide.map((each) => each.outerHTML)];
"""


TEXT_SIZES = """
const svg = document.querySelector("svg.confusion");
const scale = svg.getBoundingClientRect().width / svg.viewBox.baseVal.width;
return [...svg.querySelectorAll("text")].map((each) =>
  scale * parseFloat(getComputedStyle(each).fontSize));
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    require_browser()
    folder = tmp_path_factory.mktemp("runs")
    search(folder / "search", epochs=12, partial_channels=4)
    SKIPS.save(folder / "search" / files.GENOTYPE)
    text_search(folder / "text")
    training(folder / "training", epochs=1)
    save_evaluation(evaluation_path(folder / "training"), of_many_classes(24))
    study(folder / "study")
    comparison(folder / "comparison")
    for each in ("search", "text", "training", "study", "comparison"):
        write_report([folder / each])
    write_report([folder / "search", folder / "text", folder / "training"])
    return folder


@pytest.fixture(scope="module")
def opened(folder):
    with browser() as page:
        yield page


@pytest.fixture
def page(opened, folder):
    """Opens the report of a search from disk, in its initial state."""
    show(opened, folder / "search")
    return opened


def show(page, place) -> None:
    page.driver.get((place / "report.html").as_uri())


@contextlib.contextmanager
def screen(page, width: int, scheme: str = "light", media: str = "screen"):
    """Context manager: emulates a screen of this width, or paper."""
    command = page.driver.execute_cdp_cmd
    size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500}
    command("Emulation.setDeviceMetricsOverride", size)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    command("Emulation.setEmulatedMedia", {"media": media, "features": features})
    try:
        yield
    finally:
        command("Emulation.setEmulatedMedia", {"media": ""})
        command("Emulation.clearDeviceMetricsOverride", {})


def texts(page, selector: str) -> list[str]:
    script = "return [...document.querySelectorAll(arguments[0])].map((e) => e.textContent)"
    return page.driver.execute_script(script, selector)


def slide(page, place: int) -> None:
    script = """
    const range = document.querySelector(".slider input");
    range.value = arguments[0];
    range.dispatchEvent(new Event("input", { bubbles: true }));
    """
    page.driver.execute_script(script, place)


@pytest.mark.parametrize("name", ["search", "text", "training", "study", "comparison", "."])
def test_page_fits_every_screen_and_complains_of_nothing(opened, folder, name):
    opened.complaints(), opened.requests()
    for width in WIDTHS:
        with screen(opened, width):
            show(opened, folder / name)
            script = "document.querySelectorAll('details').forEach((each) => { each.open = true; })"
            opened.driver.execute_script(script)
            assert opened.driver.execute_script(NO_WIDER) == [False], width
    assert opened.complaints() == []
    asked = opened.requests()
    assert {address for address in asked if not address.startswith(("file:", "data:"))} == set()


def test_results_by_class_are_readable_on_a_phone(opened, folder):
    with screen(opened, 390):
        show(opened, folder / "training")
        sizes = opened.driver.execute_script(TEXT_SIZES)
        assert len(sizes) == 4 * 24  # names and counts
        assert min(sizes) >= 9  # CSS pixels
        widths = opened.driver.execute_script(
            "return [...document.querySelectorAll('.mistakes img')].map((each) => each.width)"
        )
        assert min(widths) >= 90


CELLS = """
const main = document.querySelector("main").getBoundingClientRect();
return [...document.querySelectorAll(".drawn svg")].map((svg) => {
  const box = svg.getBoundingClientRect(), own = svg.viewBox.baseVal;
  return { top: box.top, left: box.left - main.left, right: main.right - box.right,
    across: main.width, width: box.width, x: box.width / own.width, y: box.height / own.height };
});
"""


@pytest.mark.parametrize("width", [320, 390, 768, 1280, 1920])
def test_cells_are_whole_have_one_scale_and_use_the_width(page, width):
    with screen(page, width):
        cells = page.driver.execute_script(CELLS)
    assert len(cells) == 2
    for cell in cells:
        assert min(cell["left"], cell["right"]) >= -0.5
        assert cell["x"] == pytest.approx(cell["y"], rel=0.02)
        assert cell["x"] == pytest.approx(cells[0]["x"], rel=0.01)
    rows = {cell["top"] for cell in cells}
    used = max(sum(each["width"] for each in cells if each["top"] == row) for row in rows)
    across = cells[0]["across"]
    if width < 720:
        assert used == pytest.approx(across, abs=1)
    else:  # a legend may be beside the cells
        assert used > across - 2 * 40 - 320 or cells[0]["x"] > 1.6


def test_slider_moves_the_heat_maps_to_its_epoch(page):
    assert texts(page, ".now") == ["after epoch 12"]
    last, kept = texts(page, ".heat td"), texts(page, ".heat td.kept")
    assert len(kept) == 16
    slide(page, 0)
    assert texts(page, ".now") == ["after epoch 1"]
    first = texts(page, ".heat td")
    assert first != last
    assert len(texts(page, ".heat td.kept")) == 16
    assert max(map(float, first)) < max(map(float, last))  # the edges become more decided
    slide(page, 11)
    assert texts(page, ".heat td") == last  # equal to the page without its script


def test_a_tap_on_an_edge_shows_its_lines_and_another_the_mean(page):
    captions = texts(page, ".cell figcaption")
    paths = "return [...document.querySelectorAll('.cell .line')].map((e) => e.getAttribute('d'))"
    mean = page.driver.execute_script(paths)
    edge = page.driver.find_elements("css selector", ".heat button")[3]
    page.driver.execute_script("arguments[0].click()", edge)
    assert texts(page, ".cell figcaption")[0] == "edge 1→3"
    assert texts(page, ".cell figcaption")[1] == captions[1]
    assert page.driver.execute_script(paths) != mean
    shown = [float(text) for text in texts(page, ".cell .legend b")[:8]]
    row = [float(text) for text in texts(page, ".heat tbody tr:nth-child(4) td")[:8]]
    assert shown == pytest.approx(row, abs=1e-3)
    page.driver.execute_script("arguments[0].click()", edge)
    assert page.driver.execute_script(paths) == mean


def test_pointing_at_a_chart_shows_the_values_there(page):
    def values():
        script = "return [...document.querySelectorAll('.charts .chart')][0].innerText"
        return page.driver.execute_script(script)

    before = values()
    script = """
    const plot = document.querySelector(".charts .plot");
    const box = plot.getBoundingClientRect();
    const place = { clientX: box.left + 1, clientY: box.top + 5, pointerType: "touch" };
    plot.dispatchEvent(new PointerEvent("pointerdown", place));
    """
    page.driver.execute_script(script)
    assert "epoch 1\n" in values()
    assert values() != before
    plot = page.driver.find_element("css selector", ".charts .plot")
    plot.send_keys("\ue014")  # right arrow key
    assert "epoch 2\n" in values()


def test_play_goes_on_to_the_end(page):
    slide(page, 9)
    play = page.driver.find_element("css selector", ".play")
    page.driver.execute_script("arguments[0].click()", play)
    assert play.get_attribute("aria-label") == "pause"
    page.wait_for("document.querySelector('.now').textContent === 'after epoch 12'")
    assert play.get_attribute("aria-label") == "play"


def test_paper_has_the_final_state_and_no_slider(page):
    slide(page, 2)
    page.driver.execute_script("window.dispatchEvent(new Event('beforeprint'))")
    assert texts(page, ".now") == ["after epoch 12"]
    with screen(page, 800, media="print", scheme="dark"):
        slider = page.driver.find_element("css selector", ".slider")
        assert not slider.is_displayed()
        script = "return getComputedStyle(document.body).backgroundColor"
        assert page.driver.execute_script(script) == "rgb(255, 255, 255)"


def test_dark_screens_have_other_colours(page):
    script = """
    return ["body", ".line.c0", ".heat td"].map((each) => {
      const style = getComputedStyle(document.querySelector(each));
      return [style.color, style.stroke, style.backgroundColor];
    });
    """
    with screen(page, 1280):
        light = page.driver.execute_script(script)
    with screen(page, 1280, "dark"):
        dark = page.driver.execute_script(script)
    assert all(a != b for a, b in zip(light, dark, strict=True))


def test_without_a_program_the_page_shows_the_final_state(page):
    state = texts(page, ".heat td"), texts(page, ".legend b")
    page.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        page.driver.refresh()
        assert not page.driver.find_element("css selector", ".slider").is_displayed()
        cells = page.driver.find_elements("css selector", ".heat td")
        assert [cell.text for cell in cells] == state[0]
    finally:
        page.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
