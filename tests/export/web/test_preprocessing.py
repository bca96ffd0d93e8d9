"""The page's preprocessing of a file agrees with that in Python."""

from __future__ import annotations

import base64

import numpy as np
import pytest
from chrome import Site, browser, encoded, require_browser
from PIL import Image, ImageCms
from PIL.PngImagePlugin import PngInfo

from darts_tf.data.preprocessing import Preprocessing
from darts_tf.export.web import page as web_page


@pytest.fixture(scope="module")
def page():
    """A browser with the page's scripts, without a network and its runtime."""
    require_browser()
    with Site(web_page.STATIC) as site, browser() as opened:
        opened.driver.get(f"{site.url}manifest.webmanifest")
        yield opened


PREPROCESSINGS = {
    "squeezed": Preprocessing(16, 24, 3, (0.5,) * 3, (0.2,) * 3),
    "gray": Preprocessing(8, 8, 1, (0.5,), (0.2,)),
    "enlarged": Preprocessing(100, 90, 3, (0.5,) * 3, (0.2,) * 3),
    "cropped": Preprocessing(21, 30, 3, (0.5,) * 3, (0.2,) * 3, shorter_side=32),
    "gray and cropped": Preprocessing(15, 16, 1, (0.5,), (0.2,), shorter_side=18),
}


def noise(height: int, width: int) -> Image.Image:
    """Returns random colors."""
    pixels = np.random.default_rng(height).integers(0, 256, (height, width, 3), np.uint8)
    return Image.fromarray(pixels)


def input_of(page, file: bytes, preprocessing: Preprocessing) -> np.ndarray:
    """Returns the input that the page passes to the network."""
    script = """
    const [base64, preprocessing, done] = arguments;
    const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
    import("./preprocessing.js").then(async ({ decode, networkInput }) =>
      Array.from(networkInput(await decode(new Blob([bytes])), preprocessing))
    ).then(done, (error) => done(String(error)));
    """
    arguments = base64.b64encode(file).decode(), preprocessing.to_dict()
    values = page.driver.execute_async_script(script, *arguments)
    shape = preprocessing.height, preprocessing.width, preprocessing.channels
    return np.array(values).reshape(shape)


def check_same_input(page, file: bytes, preprocessing: Preprocessing) -> None:
    expected = preprocessing.decode(file).numpy().astype(int)
    difference = np.abs(input_of(page, file, preprocessing) - expected)
    assert difference.max() <= 1
    assert difference.mean() < 0.02


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@pytest.mark.parametrize("name", PREPROCESSINGS)
def test_input_of_the_network_is_that_of_python(page, name, kind):
    preprocessing = PREPROCESSINGS[name]
    same = preprocessing.height, preprocessing.width
    for size in (same, (40, 64), (67, 35), (530, 301)):  # the last is decoded in several strips
        check_same_input(page, encoded(noise(*size), kind), preprocessing)


@pytest.mark.parametrize(
    "kind", ["gray JPEG", "gray PNG", "GIF", "BMP", "WEBP", "gamma", "profile"]
)
def test_other_files_are_read_as_in_python(page, kind):
    image, options = noise(61, 52), {}
    if kind.startswith("gray"):
        image = image.convert("L")
    if kind == "WEBP":
        options["lossless"] = True
    if kind == "gamma":
        options["pnginfo"] = PngInfo()
        options["pnginfo"].add(b"gAMA", (100_000).to_bytes(4, "big"))
    if kind == "profile":
        options["icc_profile"] = swapped_profile()
    name = {"gamma": "PNG", "profile": "PNG"}.get(kind, kind.split()[-1])
    check_same_input(page, encoded(image, name, **options), PREPROCESSINGS["squeezed"])


def swapped_profile() -> bytes:
    """Returns a color profile that swaps red and blue."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return profile.replace(b"rXYZ", b"?").replace(b"bXYZ", b"rXYZ").replace(b"?", b"bXYZ")


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@pytest.mark.parametrize("orientation", [3, 6])
def test_photo_is_rotated_as_python_does(page, kind, orientation):
    turned = Image.Exif()
    turned[0x0112] = orientation
    file = encoded(noise(40, 64), kind, exif=turned)
    check_same_input(page, file, PREPROCESSINGS["cropped"])
