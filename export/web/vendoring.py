"""The page's runtime: LiteRT in WebAssembly, fetched from its npm packages at build time.

`python -m darts_tf.export.web.vendoring` (or `make web`) fetches it. It is not part of the
repository; every wheel of `make wheel` contains it.
"""

from __future__ import annotations

import base64
import hashlib
import io
import os
import pathlib
import shutil
import sys
import tarfile
import urllib.request
from importlib import metadata
from typing import NamedTuple

from darts_tf.errors import InputError
from darts_tf.runtime import atomic

VENDOR = pathlib.Path(__file__).parent / "vendor"
REGISTRY = os.environ.get("NPM_CONFIG_REGISTRY", "https://registry.npmjs.org").rstrip("/")
LICENCE = "LICENSE"
VERSIONS = "VERSIONS"
TIMEOUT = 60
"""Seconds without an answer after which a download fails."""


class Package(NamedTuple):
    """A pinned npm package.

    Attributes:
        name: name in the registry.
        version: exact version.
        sha512: SHA-512 of its archive in base64, as in the registry's `integrity`.
        members: files that the page needs, and `package.json`, which states their origin.
    """

    name: str
    version: str
    sha512: str
    members: tuple[str, ...]

    @property
    def folder(self) -> str:
        """Folder of its files below `VENDOR`: the name without its scope."""
        return self.name.rpartition("/")[2]


PACKAGES = (
    Package(
        "@litertjs/core",
        "2.5.3",
        "PlGmbMOq9WitX7FO0jhbdJw9GthatsyuCQXjTt/wJZo0FLaw48q4tz8IwqgqCIkviYGr9OFDL1kCnN4nzWoyJQ==",
        (
            "package.json",
            "dist/index.js",
            # One thread, with and without relaxed SIMD. Threads need headers of the web server
            # (COOP and COEP) that many static hosts do not send.
            *("wasm/litert_wasm_internal.js", "wasm/litert_wasm_internal.wasm"),
            *("wasm/litert_wasm_compat_internal.js", "wasm/litert_wasm_compat_internal.wasm"),
        ),
    ),
    Package(
        "@litertjs/wasm-utils",
        "2.5.3",
        "4fJiw6tBQnIs+0jH/OQ16nYOiSl8/+zZnn5h2ul8aTKHi05sVqZW580Tmk78pC2kT39A9OYBVdFawteZ/sI1kQ==",
        ("package.json", "dist/index.js"),
    ),
)


def check() -> None:
    """Raises InputError unless the pinned versions of the runtime have been fetched."""
    if not _is_complete():
        raise InputError(
            "Expected the page's runtime, which `python -m darts_tf.export.web.vendoring` "
            f"(or `make web`) fetches from the npm registry. Received: none in {str(VENDOR)!r}"
        )


def fetch() -> None:
    """Fetches, checks and unpacks the packages, unless they are there already.

    Raises:
        OSError: the registry cannot be reached.
        ValueError: an archive does not match its pinned hash.
    """
    if _is_complete():
        return
    with atomic.replacing(VENDOR) as written:
        for package in PACKAGES:
            _unpack(package, _download(package), written / package.folder)
        (written / LICENCE).write_text(_licence(), encoding="utf-8")
        (written / VERSIONS).write_text(_versions(), encoding="utf-8")
        shutil.rmtree(VENDOR, ignore_errors=True)  # other versions


def _is_complete() -> bool:
    path = VENDOR / VERSIONS
    return path.is_file() and path.read_text(encoding="utf-8") == _versions()


def _versions() -> str:
    return "".join(f"{package.name} {package.version}\n" for package in PACKAGES)


def _download(package: Package) -> bytes:
    url = f"{REGISTRY}/{package.name}/-/{package.folder}-{package.version}.tgz"
    with urllib.request.urlopen(url, timeout=TIMEOUT) as response:
        archive = response.read()
    received = base64.b64encode(hashlib.sha512(archive).digest()).decode()
    if received != package.sha512:
        raise ValueError(f"Expected {url} with sha512 {package.sha512}. Received: {received}")
    return archive


def _unpack(package: Package, archive: bytes, folder: pathlib.Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as members:
        for name in package.members:
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(members.extractfile(f"package/{name}").read())


def _licence() -> str:
    """Returns the text of the Apache licence 2.0, theirs and ours; their archives only name it."""
    ours = pathlib.Path(__file__).resolve().parents[2] / LICENCE
    if ours.is_file():
        return ours.read_text(encoding="utf-8")
    return metadata.distribution("darts-tf").read_text(f"licenses/{LICENCE}")


def main() -> int:
    """Fetches the runtime, prints its versions and returns the exit status."""
    try:
        fetch()
    except (OSError, ValueError) as error:
        print(f"darts_tf.export.web.vendoring: {error}", file=sys.stderr)
        return 1
    print(f"{VENDOR}: {', '.join(_versions().splitlines())}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
