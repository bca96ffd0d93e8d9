"""A real browser and a static web server, for the tests of the page."""

from __future__ import annotations

import contextlib
import functools
import http.server
import io
import json
import pathlib
import shutil
import tempfile
import threading

import pytest

from darts_tf.errors import InputError
from darts_tf.export.web import vendoring

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
ALONE = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-quic"),
    *("--no-first-run", "--disable-background-networking", "--disable-component-update"),
    *("--disable-sync", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"),
)
"""Options of a browser without background activity, which reaches only this machine."""

WAIT = 60
"""Time limit of every step in the browser, seconds, on a busy machine."""


def require_browser() -> None:
    """Skips the test if there is no browser."""
    pytest.importorskip("selenium", reason="needs selenium: pip install 'darts-tf[test]'")
    if not (shutil.which("chromedriver") and any(map(shutil.which, BROWSERS))):
        pytest.skip("needs a browser: apt-get install chromium chromium-driver")


def require_runtime() -> None:
    """Skips the test if the page's runtime has not been fetched."""
    try:
        vendoring.check()
    except InputError as error:
        pytest.skip(str(error))


def encoded(image, kind: str, **options) -> bytes:
    """Encodes a Pillow image as a file's bytes."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


class Site(http.server.ThreadingHTTPServer):
    """Context manager: serves a folder on a port of this machine."""

    def __init__(self, folder: pathlib.Path):
        super().__init__(("127.0.0.1", 0), functools.partial(_Handler, directory=folder))
        self.folder = folder
        self.url = f"http://127.0.0.1:{self.server_port}/"
        self._thread = threading.Thread(target=self.serve_forever)
        self._thread.start()

    def stop(self) -> None:
        """Stops the server and closes the port."""
        if self._thread.is_alive():
            self.shutdown()
            self._thread.join()
        self.server_close()

    def __exit__(self, *_):
        self.stop()


class _Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


class Page:
    """The page in a fresh browser."""

    def __init__(self, driver):
        self.driver = driver

    def open(self, url: str) -> None:
        """Opens the page and waits until it is ready or shows an error."""
        self.driver.get(url)
        self.wait_for("document.getElementById('loading').hidden")

    def reload(self) -> None:
        self.driver.refresh()
        self.wait_for("document.getElementById('loading').hidden")

    def wait_for(self, expression: str) -> None:
        from selenium.webdriver.support.ui import WebDriverWait

        WebDriverWait(self.driver, WAIT, 0.05).until(
            lambda driver: driver.execute_script(f"return Boolean({expression})"), expression
        )

    def text(self, element: str) -> str:
        """Returns the visible text of an element, by its id; empty if it is hidden."""
        return self.driver.find_element("id", element).text

    def choose(self, path: pathlib.Path, element: str = "file") -> None:
        """Chooses a file and waits until the page has classified it."""
        # the page removes this when it has an answer
        self.driver.execute_script("document.body.setAttribute('aria-busy', 'true')")
        self.driver.find_element("id", element).send_keys(str(path))
        self.wait_for("!document.body.hasAttribute('aria-busy')")

    def top(self) -> list[tuple[str, float]]:
        """Returns the shown labels with probabilities in percent."""
        rows = [
            row.text.rsplit("\n", 1) for row in self.driver.find_elements("css selector", "#top li")
        ]
        return [(label, float(share.removesuffix(" %"))) for label, share in rows]

    def requests(self) -> set[str]:
        """Returns the addresses that the page has requested since the last call."""
        events = (
            json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")
        )
        sent = (e["params"] for e in events if e["method"] == "Network.requestWillBeSent")
        return {params["request"]["url"] for params in sent}

    def complaints(self) -> list[str]:
        """Returns errors and warnings in the console since the last call."""
        entries = self.driver.get_log("browser")
        return [e["message"] for e in entries if e["level"] in ("WARNING", "SEVERE")]


@contextlib.contextmanager
def browser(*arguments: str):
    """Context manager: yields a `Page` in a fresh headless browser."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = next(filter(None, map(shutil.which, BROWSERS)))
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        for argument in (*ALONE, *arguments, f"--user-data-dir={profile}"):
            options.add_argument(argument)
        driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
        driver.set_script_timeout(WAIT)
        try:
            driver.get("about:blank")
            driver.get_log("performance")  # requests of the browser's own first page
            yield Page(driver)
        finally:
            driver.quit()
