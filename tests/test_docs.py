"""The documentation site: it builds without warnings, and loads nothing from other sites."""

from __future__ import annotations

import dataclasses
import html.parser
import itertools
import os
import re
import subprocess
import sys

import pytest
import yaml
from chrome import Site, browser, require_browser
from docs_blocks import ROOT

import darts_tf
from darts_tf import configs
from darts_tf.cli.main import COMMANDS, GROUPS
from darts_tf.configs import base

LOADING = {"script": "src", "link": "href", "img": "src", "iframe": "src", "source": "src"}
ADDRESSES = ("http:", "https:", "//")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Folder of the site, built as by `make docs`."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return folder


class Loads(html.parser.HTMLParser):
    """Resources that a page loads, and its equations."""

    def __init__(self, text: str):
        super().__init__()
        self.addresses, self.equations = [], 0
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.equations += tag == "math"
        loaded = [value or "" for name, value in attrs if LOADING.get(tag) == name]
        if tag == "link" and dict(attrs).get("rel") in ("prev", "next", "canonical"):
            return  # says where something is
        self.addresses += loaded


def test_pages_load_nothing_from_elsewhere(site):
    pages = list(site.rglob("*.html"))
    assert len(pages) > 20
    for page in pages:
        addresses = Loads(page.read_text(encoding="utf-8")).addresses
        assert addresses
        assert [each for each in addresses if each.startswith(ADDRESSES)] == [], page.name
    styles = "".join(style.read_text(encoding="utf-8") for style in site.rglob("*.css"))
    assert "url(http" not in styles
    assert "@import" not in styles


@pytest.mark.parametrize("name", ["method", "recurrent", "variants"])
def test_equations_are_mathml(site, name):
    shown = (site / f"{name}.html").read_text(encoding="utf-8")
    source = (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")
    assert Loads(shown).equations >= source.count("$$") // 2 > 0
    assert "arithmatex" not in shown
    assert "\\frac" not in shown


def test_code_on_the_page_is_the_librarys(site):
    text = re.sub("<[^>]*>", "", (site / "method.html").read_text(encoding="utf-8"))
    assert "darts_tf/search/estimators.py" in text
    assert "def second_order(loss, weights, alphas, train, valid, virtual_step):" in text
    assert "from darts_tf.search.estimators import" not in text


def test_every_flag_is_on_the_page_of_commands(site):
    shown = (site / "commands.html").read_text(encoding="utf-8")
    for command, (name, _) in COMMANDS.items():
        section = shown.partition(f'id="darts-tf-{command}"')[2].partition("<h2")[0]
        for field in dataclasses.fields(getattr(configs, name)):
            flag = f"--{field.name.replace('_', '-')}"
            assert f"<code>{flag}</code>" in section, (command, flag)


def test_commands_and_flags_are_grouped_as_in_the_help(site):
    shown = (site / "commands.html").read_text(encoding="utf-8")
    overview = shown.partition("<table>")[2].partition("</table>")[0]
    words = re.findall(r"<strong>(.*?)</strong>|#darts-tf-(\w+)\"", overview)
    expected = [[(group, ""), *(("", name) for name in names)] for group, names in GROUPS.items()]
    assert words == list(itertools.chain.from_iterable(expected))
    search = shown.partition('id="darts-tf-search"')[2].partition("<h2")[0]
    places = [search.index(f"<strong>{group.capitalize()}</strong>") for group in base.GROUPS[:6]]
    assert places == sorted(places)
    assert places[1] < search.index("<code>--epochs</code>") < places[2]


def test_every_public_name_is_on_the_page_of_the_library(site):
    shown = (site / "reference.html").read_text(encoding="utf-8")
    missing = [
        name for name in darts_tf.__all__ if f'.{name}" class="doc doc-heading"' not in shown
    ]
    assert missing == []


def test_browser_shows_it_without_a_network(site):
    require_browser()
    with Site(site) as server, browser() as page:
        for width, name in itertools.product((1280, 390), ("index", "method", "commands")):
            size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
            page.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
            page.driver.get(f"{server.url}{name}.html")
            across = page.driver.execute_script("return document.documentElement.scrollWidth")
            assert across <= width, f"{name} is wider than a screen of {width}"
        away = [each for each in page.requests() if not each.startswith((server.url, "data:"))]
        assert away == []
        assert page.complaints() == []


MOST_BYTES = {".png": 200_000, ".gif": 500_000}
"""Largest size of images, by suffix."""


def test_images_are_small_and_the_commands_that_made_them_are_known():
    commands = (ROOT / "docs/images/README.md").read_text(encoding="utf-8")
    images = [path for path in (ROOT / "docs/images").iterdir() if path.suffix != ".md"]
    assert images
    for path in images:
        assert path.stat().st_size <= MOST_BYTES[path.suffix], path.name
        assert f"docs/images/{path.name}" in commands


def test_citation_names_this_version():
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= set(cited)  # what the format requires
    assert cited["version"] == re.search(r'version="(.*?)"', (ROOT / "setup.py").read_text())[1]
    (reference,) = cited["references"]
    assert reference["title"].startswith("DARTS")
