"""The page in a real browser: it agrees with Python, online and offline."""

from __future__ import annotations

import base64
import pathlib
import shutil

import numpy as np
import pytest
import tensorflow as tf
from chrome import Site, browser, encoded, require_browser, require_runtime
from export_fixtures import small_network
from PIL import Image
from sklearn.datasets import load_digits

from darts_tf import export
from darts_tf.data.preprocessing import Preprocessing

CLASSES = (*("zero", "one", "two", "three", "four", "five", "six", "seven"), "eight", "<b>nine & 9")
PREPROCESSING = Preprocessing(16, 16, 3, (0.3, 0.4, 0.5), (0.2, 0.2, 0.2), shorter_side=18)
KINDS = ("PNG", "JPEG")


def digits(first: int, count: int) -> tuple[list[Image.Image], np.ndarray]:
    """Handwritten digits as color pictures, and their classes."""
    images, labels = (part[first : first + count] for part in load_digits(return_X_y=True))
    colours = 20 + images.reshape(-1, 8, 8, 1) / 16 * [200, 235, 160]
    pictures = [Image.fromarray(image) for image in colours.astype(np.uint8)]
    return [picture.resize((48, 48), Image.Resampling.BICUBIC) for picture in pictures], labels


def digits_network():
    """A network with random features and a head fitted to digits by least squares."""
    network = small_network("DARTS_V2", 3, channels=8)
    pictures, labels = digits(0, 600)
    images = np.stack([PREPROCESSING.decode(encoded(p, "PNG")).numpy() for p in pictures])
    s0 = s1 = network.stem(PREPROCESSING.normalize(images), training=False)
    for cell in network.cells:
        s0, s1 = s1, cell(s0, s1, training=False)
    known = np.c_[tf.reduce_mean(s1, (1, 2)), np.ones(len(images))]
    wanted = 10.0 * (labels[:, None] == np.arange(10))
    fitted = np.linalg.lstsq(known, wanted, rcond=1e-4)[0]
    network.head.kernel.assign(fitted[:-1])
    network.head.bias.assign(fitted[-1])
    return network, images


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    require_browser()
    require_runtime()
    network, images = digits_network()
    output = tmp_path_factory.mktemp("web") / "out"
    options = {"images": images[:20], "formats": ("web",)}
    export.export(network, PREPROCESSING, CLASSES, output, **options)
    return output


@pytest.fixture(scope="module")
def opened(exported):
    """A browser with the page open."""
    with Site(exported / "web") as site, browser() as page:
        yield page, site.url


@pytest.fixture
def page(opened):
    """The page, loaded once for all tests that only classify images."""
    page, url = opened
    if page.driver.current_url != url:
        page.open(url)
    page.complaints()
    return page


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Twenty files with digits that the network was not fitted to, in many sizes, two formats."""
    folder = tmp_path_factory.mktemp("pictures")
    for i, (picture, label) in enumerate(zip(*digits(1200, 20), strict=True)):
        kind, size = KINDS[i % 2], (30 + 17 * i, 30 + 19 * i)
        sized = picture.resize(size, Image.Resampling.BICUBIC)
        (folder / f"{i:02}-{label}.{kind.lower()}").write_bytes(encoded(sized, kind))
    return sorted(folder.iterdir())


def said_by_python(exported, path: pathlib.Path) -> list[tuple[str, float]]:
    """Returns the five most probable classes in percent, computed as `darts-tf predict` does."""
    model = export.load(exported)
    image = model.preprocessing.decode(path.read_bytes()).numpy()
    (probabilities,) = model.probabilities(image[None])
    best = (-probabilities).argsort(kind="stable")[:5]
    return [(model.classes[i], 100 * probabilities[i]) for i in best]


def test_page_says_what_python_says(exported, page, pictures):
    answers, right = set(), 0
    for path in pictures:
        page.choose(path)
        found, expected = page.top(), said_by_python(exported, path)
        assert found[0][0] == page.text("answer") == expected[0][0], path.name
        percents = [[percent for _, percent in top] for top in (found, expected)]
        np.testing.assert_allclose(*percents, atol=1, err_msg=path.name)
        answers.add(found[0][0])
        right += found[0][0] == CLASSES[int(path.stem[-1])]
    assert right >= 10  # the network recognizes digits,
    assert len(answers) >= 6  # and does not give one answer for all
    assert page.complaints() == []


def test_page_takes_photos_and_says_how_long_it_took(page, pictures):
    photo = page.driver.find_element("id", "photo")
    assert photo.get_dom_attribute("capture") == "environment"
    page.choose(pictures[0], "photo")
    assert page.text("latency").startswith("Network ")
    assert page.text("latency").endswith(" ms")
    assert page.text("network").startswith("10 classes, 16 × 16 color pixels, ")


def test_dropped_photo_is_turned_upright(page):
    turned = Image.Exif()
    turned[0x0112] = 6
    file = base64.b64encode(encoded(Image.new("RGB", (40, 20)), "JPEG", exif=turned)).decode()
    script = """
    document.body.setAttribute("aria-busy", "true");
    const bytes = Uint8Array.from(atob(arguments[0]), (character) => character.charCodeAt(0));
    const dataTransfer = new DataTransfer();
    dataTransfer.items.add(new File([bytes], "dropped.jpg", { type: "image/jpeg" }));
    document.body.dispatchEvent(new DragEvent("drop", { dataTransfer, bubbles: true }));
    """
    page.driver.execute_script(script, file)
    shown = "document.getElementById('picture')"
    page.wait_for(f"{shown}.width === 20 && {shown}.height === 40")
    assert page.driver.find_element("id", "picture").accessible_name == "dropped.jpg"


def damaged(path: pathlib.Path) -> dict[str, bytes]:
    whole = path.read_bytes()
    return {"empty": b"", "no image": b"<svg/>", "cut": whole[: len(whole) // 2]}


@pytest.mark.parametrize("damage", ["empty", "no image", "cut"])
def test_damaged_image_is_named_and_the_next_one_is_looked_at(page, pictures, tmp_path, damage):
    for path in pictures[:2]:
        broken = tmp_path / f"broken{path.suffix}"
        broken.write_bytes(damaged(path)[damage])
        page.choose(broken)
        assert f"“{broken.name}” cannot be read as an image" in page.text("error")
        assert page.text("result") == ""
        page.choose(path)
        assert page.text("error") == ""
        assert len(page.top()) == 5
    assert page.complaints() == []


@pytest.fixture
def site(exported, tmp_path):
    """A server of a copy of the page, which a test may change or stop; a new site for browsers."""
    shutil.copytree(exported / "web", tmp_path / "web")
    with Site(tmp_path / "web") as opened:
        yield opened


@pytest.fixture
def elsewhere(opened):
    """The browser, to open another site."""
    page, _ = opened
    page.requests()
    page.complaints()  # requests of earlier tests
    return page


def test_page_asks_nobody_else_and_works_without_a_network(site, elsewhere, pictures):
    elsewhere.open(site.url)
    elsewhere.choose(pictures[0])
    top = elsewhere.top()
    elsewhere.wait_for("document.getElementById('offline').textContent")
    assert elsewhere.text("offline") == "This page works offline."
    asked = elsewhere.requests()
    assert f"{site.url}model.tflite" in asked
    assert [address for address in asked if not address.startswith(site.url)] == []
    assert elsewhere.complaints() == []
    site.stop()
    elsewhere.reload()
    elsewhere.choose(pictures[0])
    assert elsewhere.top() == top
    elsewhere.choose(pictures[1])
    assert elsewhere.text("error") == ""


def test_new_export_is_offered_and_taken_whole(site, elsewhere):
    elsewhere.open(site.url)
    elsewhere.wait_for("document.getElementById('offline').textContent")
    (site.folder / "labels.txt").write_text("one\nclass more\n" * 6)
    listed = site.folder / "files.js"
    listed.write_text(listed.read_text().replace('VERSION = "', 'VERSION = "new-'))
    elsewhere.reload()
    assert elsewhere.text("network").startswith("10 classes")  # all files are of one version
    elsewhere.wait_for("!document.getElementById('update').hidden")
    elsewhere.driver.find_element("id", "use").click()
    elsewhere.wait_for("document.getElementById('network').textContent.startsWith('12 classes')")
    names = "caches.keys().then(arguments[0])"
    (name,) = elsewhere.driver.execute_async_script(names)
    assert " new-" in name


@pytest.mark.parametrize("name", ["model.tflite", "litert/core/wasm/litert_wasm_internal.js"])
def test_missing_file_is_told(site, elsewhere, name):
    (site.folder / name).unlink()
    elsewhere.open(site.url)
    assert elsewhere.text("error").startswith("The network cannot be loaded: ")
    assert not elsewhere.driver.find_element("id", "file").is_enabled()


def test_runtime_for_older_browsers_says_the_same(exported, site, elsewhere, pictures):
    wasm = site.folder / "litert" / "core" / "wasm"
    # simulate a browser without relaxed SIMD
    (wasm / "litert_wasm_compat_internal.js").replace(wasm / "litert_wasm_internal.js")
    (wasm / "litert_wasm_internal.wasm").unlink()
    elsewhere.open(site.url)
    elsewhere.choose(pictures[0])
    assert elsewhere.text("answer") == said_by_python(exported, pictures[0])[0][0]


def test_page_alone_is_an_export_that_python_reads(exported):
    assert {path.name for path in exported.iterdir()} >= {"web", "export_report.json"}
    for place in (exported, exported / "web", exported / "web" / "model.tflite"):
        assert export.load(place).classes == CLASSES
