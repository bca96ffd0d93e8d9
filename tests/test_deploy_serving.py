"""The files in deploy/serving: schemas, agreement with the files of `serve`, and probes."""

from __future__ import annotations

import copy
import pathlib
import re
import subprocess

import jsonschema
import pytest
import yaml
from manifest_schemas import DEPLOY, check
from servers import serving, write_version

from darts_tf.configs import ServeConfig
from darts_tf.export.serving import config as files

FOLDER = DEPLOY / "serving"
KINDS = {
    "ConfigMap": "io.k8s.api.core.v1.ConfigMap",
    "Deployment": "io.k8s.api.apps.v1.Deployment",
    "Service": "io.k8s.api.core.v1.Service",
}
MANIFESTS = {
    manifest["kind"]: manifest
    for manifest in yaml.safe_load_all((FOLDER / "kubernetes.yaml").read_text(encoding="utf-8"))
}
COMPOSE = yaml.safe_load((FOLDER / "compose.yaml").read_text(encoding="utf-8"))
POD = MANIFESTS["Deployment"]["spec"]["template"]["spec"]
(CONTAINER,) = POD["containers"]
(SERVICE,) = COMPOSE["services"].values()
CONFIG = ServeConfig(model="x", poll_seconds=10)


@pytest.mark.parametrize("kind", KINDS)
def test_manifest_fits_its_schema(kind):
    check(MANIFESTS[kind], KINDS[kind])
    assert set(MANIFESTS) == set(KINDS)


def test_compose_file_fits_its_schema():
    check(COMPOSE, "Compose")


@pytest.mark.parametrize(
    ("path", "right", "wrong"),
    [
        ((), "services", "service"),
        (("services", "serving"), "image", "imag"),
        (("services", "serving"), "read_only", "readonly"),
        (("services", "serving", "healthcheck"), "start_period", "startperiod"),
    ],
)
def test_misspelt_compose_field_is_refused(path, right, wrong):
    manifest = copy.deepcopy(COMPOSE)
    parent = manifest
    for word in path:
        parent = parent[word]
    parent[wrong] = parent.pop(right)
    with pytest.raises(jsonschema.ValidationError):
        check(manifest, "Compose")


@pytest.mark.parametrize("field", ["readinessProbe", "securityContext", "lifecycle", "args"])
def test_misspelt_field_of_the_pod_is_refused(field):
    manifest = copy.deepcopy(MANIFESTS["Deployment"])
    (container,) = manifest["spec"]["template"]["spec"]["containers"]
    container[field.lower() + "s"] = container.pop(field)
    with pytest.raises(jsonschema.ValidationError, match=field.lower()):
        check(manifest, KINDS["Deployment"])


def test_files_are_those_that_serve_writes():
    written = {
        files.MODELS: files.models_config({"model": pathlib.Path("/models/model")}),
        files.BATCHING: files.batching_config(CONFIG),
    }
    assert MANIFESTS["ConfigMap"]["data"] == written
    assert {name: (FOLDER / name).read_text(encoding="utf-8") for name in written} == written


@pytest.mark.parametrize("words", [CONTAINER["args"], SERVICE["command"]])
def test_flags_are_those_of_serve(words):
    expected = files.binary_command(CONFIG, pathlib.Path("/config"))
    # the image sets its two published ports itself
    assert words == [word for word in expected[1:] if "port=" not in word]


def test_image_is_the_one_of_serve():
    assert CONTAINER["image"] == SERVICE["image"] == files.IMAGE


def test_service_finds_the_pods_and_their_ports():
    deployment, service = MANIFESTS["Deployment"]["spec"], MANIFESTS["Service"]["spec"]
    labels = deployment["template"]["metadata"]["labels"]
    assert service["selector"] == deployment["selector"]["matchLabels"] == labels
    ports = {port["name"]: port["containerPort"] for port in CONTAINER["ports"]}
    assert ports == {"grpc": 8500, "rest": 8501}
    assert {port["targetPort"]: port["port"] for port in service["ports"]} == ports


def test_volumes_are_there_and_models_are_only_read():
    mounts = {mount["name"]: mount for mount in CONTAINER["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in POD["volumes"]}
    assert set(mounts) == set(volumes)
    assert mounts["shared"]["readOnly"] is True
    claim = yaml.safe_load((DEPLOY / "volume.yaml").read_text(encoding="utf-8"))
    claimed = volumes["shared"]["persistentVolumeClaim"]["claimName"]
    assert claimed == claim["metadata"]["name"]
    assert volumes["config"]["configMap"]["name"] == MANIFESTS["ConfigMap"]["metadata"]["name"]
    assert all(volume.endswith(":ro") for volume in SERVICE["volumes"])
    for volume in SERVICE["volumes"][1:]:
        assert (FOLDER / volume.split(":")[0]).is_file()


def test_pod_has_limits_time_to_end_and_few_rights():
    assert set(CONTAINER["resources"]["limits"]) == {"cpu", "memory"}
    wait = int(CONTAINER["lifecycle"]["preStop"]["exec"]["command"][1])
    assert POD["terminationGracePeriodSeconds"] >= wait + CONFIG.timeout
    assert int(SERVICE["stop_grace_period"].rstrip("s")) > CONFIG.timeout
    assert POD["securityContext"]["runAsNonRoot"]
    assert CONTAINER["securityContext"]["readOnlyRootFilesystem"]


def test_published_ports_are_of_this_host_alone():
    assert all(port.startswith("127.0.0.1:") for port in SERVICE["ports"])


def test_probes_pass_where_a_model_is_served_and_else_fail(tmp_path):
    """Uses the embedded server, which has the same paths."""
    base = tmp_path / "saved_model" / "model"
    base.mkdir(parents=True)
    write_version(base, 1)
    program, *words, script = SERVICE["healthcheck"]["test"][1:]
    with serving(tmp_path) as server:
        port = server.rest.rpartition(":")[2]
        here = script.replace("8501", port)
        assert subprocess.run([program, *words, here], timeout=20, check=False).returncode == 0
        other = here.replace("/models/model", "/models/other")
        assert subprocess.run([program, *words, other], timeout=20, check=False).returncode == 1
        for probe in ("startupProbe", "readinessProbe"):
            get = CONTAINER[probe]["httpGet"]
            assert get["port"] == "rest"
            assert server.get(get["path"])[0] == 200
    assert CONTAINER["livenessProbe"]["tcpSocket"]["port"] == "grpc"
    done = subprocess.run([program, *words, here], capture_output=True, timeout=20, check=False)
    assert done.returncode != 0


def test_readme_names_files_that_are_there():
    told = (DEPLOY / "README.md").read_text(encoding="utf-8")
    names = set(re.findall(r"deploy/serving/([\w.]+\w)", told))
    assert names == {"compose.yaml", "kubernetes.yaml"}
    assert all((FOLDER / name).is_file() for name in names)
