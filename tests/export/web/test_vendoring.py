"""The page's runtime is fetched completely and in its pinned version, or not at all."""

from __future__ import annotations

import base64
import hashlib
import io
import tarfile

import pytest
from chrome import Site
from export_fixtures import drawn_images, names, preprocessing_of, small_network

from darts_tf import export
from darts_tf.cli.main import main
from darts_tf.configs import TrainConfig
from darts_tf.errors import InputError
from darts_tf.export.web import vendoring
from darts_tf.runs import files

MEMBERS = {"package.json": b"{}", "dist/index.js": b"export {};"}


def archive(members: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as packed:
        for name, content in members.items():
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(content)
            packed.addfile(member, io.BytesIO(content))
    return file.getvalue()


@pytest.fixture
def registry(tmp_path, monkeypatch):
    """Sets up a registry with one package and an empty target folder; returns the archive."""
    path = tmp_path / "registry" / "@some" / "one" / "-" / "one-1.0.0.tgz"
    path.parent.mkdir(parents=True)
    path.write_bytes(archive({**MEMBERS, "left/out.js": b""}))
    digest = base64.b64encode(hashlib.sha512(path.read_bytes()).digest()).decode()
    package = vendoring.Package("@some/one", "1.0.0", digest, tuple(MEMBERS))
    monkeypatch.setattr(vendoring, "PACKAGES", (package,))
    monkeypatch.setattr(vendoring, "VENDOR", tmp_path / "vendor")
    with Site(tmp_path / "registry") as site:
        monkeypatch.setattr(vendoring, "REGISTRY", site.url.rstrip("/"))
        yield path


def test_what_is_needed_is_unpacked_with_its_licence_and_fetched_once(registry, capsys):
    with pytest.raises(
        InputError, match=r"python -m darts_tf.export.web.vendoring.*Received: none"
    ):
        vendoring.check()
    assert vendoring.main() == 0
    assert "@some/one 1.0.0" in capsys.readouterr().out
    vendoring.check()
    files = [path for path in vendoring.VENDOR.rglob("*") if path.is_file()]
    found = {path.relative_to(vendoring.VENDOR).as_posix(): path.read_bytes() for path in files}
    assert "Apache License" in found.pop("LICENSE").decode()
    assert found.pop("VERSIONS") == b"@some/one 1.0.0\n"
    assert found == {f"one/{name}": content for name, content in MEMBERS.items()}
    registry.unlink()
    vendoring.fetch()


def test_another_version_takes_the_place_of_the_one_before(registry, monkeypatch):
    vendoring.fetch()
    (package,) = vendoring.PACKAGES
    registry.rename(registry.with_name("one-1.0.1.tgz"))
    monkeypatch.setattr(vendoring, "PACKAGES", (package._replace(version="1.0.1"),))
    with pytest.raises(InputError):
        vendoring.check()
    vendoring.fetch()
    assert (vendoring.VENDOR / "VERSIONS").read_text() == "@some/one 1.0.1\n"


@pytest.mark.parametrize("damage", ["changed", "absent"])
def test_what_is_not_as_pinned_is_refused_in_one_line_and_leaves_nothing(registry, capsys, damage):
    if damage == "absent":
        registry.unlink()
    else:
        registry.write_bytes(archive({**MEMBERS, "dist/index.js": b"import 'elsewhere';"}))
    assert vendoring.main() == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert {"changed": "sha512", "absent": "404"}[damage] in line
    assert not vendoring.VENDOR.exists()
    assert sorted(path.name for path in vendoring.VENDOR.parent.iterdir()) == ["registry"]


def test_export_without_the_runtime_says_what_to_run_and_writes_nothing(registry, tmp_path, capsys):
    network, preprocessing = small_network(), preprocessing_of()
    images = {"images": drawn_images(preprocessing), "formats": ("saved_model", "web")}
    with pytest.raises(InputError, match="make web"):
        export.export(network, preprocessing, names(), tmp_path / "out", **images)
    settings = TrainConfig(workdir=tmp_path / "run", genotype="DARTS_V2", dataset="digits")
    (tmp_path / "run").mkdir()
    files.write_json(tmp_path / "run" / files.CONFIG, settings.to_dict())
    (tmp_path / "run" / files.MODEL).touch()
    run = ("--workdir", tmp_path / "run", "--output", tmp_path / "out", "--format", "web")
    assert main(["export", *map(str, run)]) == 2
    assert "darts_tf.export.web.vendoring" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
